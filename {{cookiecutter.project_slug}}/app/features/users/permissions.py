"""Permissions."""

from enum import StrEnum


class UserPermission(StrEnum):
    """Permissions on other users' accounts."""

    READ = "users:read"
    WRITE = "users:write"


class RolePermission(StrEnum):
    """Permissions on roles."""

    READ = "roles:read"
    WRITE = "roles:write"
