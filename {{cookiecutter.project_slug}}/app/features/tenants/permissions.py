"""What can be allowed: within a tenant by one's role there, and to those who run the service."""

from collections.abc import Mapping
from enum import StrEnum

from app.core.db.tenancy.rows import OWNED
from app.features.tenants.models import TenantRole


class TenantPermission(StrEnum):
    """Permissions about the tenant that one works for."""

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
OFFICE: Mapping[str, frozenset[str]] = {
    TenantRole.OWNER: frozenset(TenantPermission),
    TenantRole.ADMIN: frozenset(TenantPermission) - {TenantPermission.OWN},
    TenantRole.MEMBER: frozenset({TenantPermission.READ}),
}


def allows(role: str, permission: str) -> bool:
    """Whether a role within a tenant gives a permission there.

    Owners and administrators may do everything with the rows that belong to their tenant: with
    `orders:write` to those of the table `orders`. Whatever is not named for such a table is the
    service's own, and comes with roles of the service only.
    """
    about_rows = permission.partition(":")[0] in OWNED
    return permission in OFFICE[role] or (about_rows and role != TenantRole.MEMBER)
