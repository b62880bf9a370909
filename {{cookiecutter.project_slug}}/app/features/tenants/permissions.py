"""Permissions: those of roles within a tenant, and those of the service's operators."""

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache

from app.core.feature import Feature
from app.features.tenants.models import TenantRole


class TenantPermission(StrEnum):
    """Permissions on the tenant that the caller acts in."""

    READ = "tenants:read"
    WRITE = "tenants:write"
    OWN = "tenants:own"
    AUDIT = "tenants:audit"


class PlatformPermission(StrEnum):
    """Permissions on all tenants, without access to their data."""

    READ = "platform:read"
    SUSPEND = "platform:suspend"


TENANT_ONLY = frozenset(permission.value for permission in TenantPermission)
"""Permissions that no role of the service grants."""
OFFICE: Mapping[str, tuple[StrEnum, ...]] = {
    TenantRole.OWNER: tuple(TenantPermission),
    TenantRole.ADMIN: (TenantPermission.READ, TenantPermission.WRITE, TenantPermission.AUDIT),
    TenantRole.MEMBER: (TenantPermission.READ,),
}


@lru_cache
def granted_by(features: tuple[Feature, ...]) -> Mapping[str, frozenset[str]]:
    """The permissions of each tenant role, as the features declare them."""
    return {
        role: frozenset(
            permission.value
            for feature in features
            for permission in feature.tenant_permissions.get(role, ())
        )
        for role in TenantRole
    }
