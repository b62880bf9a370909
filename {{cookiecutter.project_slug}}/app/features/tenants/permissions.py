"""What can be allowed: within a tenant by one's role there, and to those who run the service."""

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache

from app.core.feature import Feature
from app.features.tenants.models import TenantRole


class TenantPermission(StrEnum):
    """Permissions about the tenant in which one acts."""

    READ = "tenants:read"
    WRITE = "tenants:write"
    OWN = "tenants:own"
    AUDIT = "tenants:audit"


class PlatformPermission(StrEnum):
    """Permissions about every tenant, without a look into it."""

    READ = "platform:read"
    SUSPEND = "platform:suspend"


TENANT_ONLY = frozenset(permission.value for permission in TenantPermission)
"""What no role of the service gives."""
OFFICE: Mapping[str, tuple[StrEnum, ...]] = {
    TenantRole.OWNER: tuple(TenantPermission),
    TenantRole.ADMIN: (TenantPermission.READ, TenantPermission.WRITE, TenantPermission.AUDIT),
    TenantRole.MEMBER: (TenantPermission.READ,),
}


@lru_cache
def granted_by(features: tuple[Feature, ...]) -> Mapping[str, frozenset[str]]:
    """What each role within a tenant may do there, as the features declare it."""
    return {
        role: frozenset(
            permission.value
            for feature in features
            for permission in feature.tenant_permissions.get(role, ())
        )
        for role in TenantRole
    }
