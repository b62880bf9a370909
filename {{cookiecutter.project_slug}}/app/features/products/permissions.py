"""Permissions."""

from enum import StrEnum


class ProductPermission(StrEnum):
    """Permissions on products."""

    READ = "products:read"
    WRITE = "products:write"
