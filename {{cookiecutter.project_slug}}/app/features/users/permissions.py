"""What can be allowed."""

from enum import StrEnum


class UserPermission(StrEnum):
    """Permissions about other people's accounts."""

    READ = "users:read"
    WRITE = "users:write"


class RolePermission(StrEnum):
    """Permissions about roles."""

    READ = "roles:read"
    WRITE = "roles:write"
