"""What can be allowed."""

from enum import StrEnum


class ProductPermission(StrEnum):
    """Permissions about products."""

    READ = "products:read"
    WRITE = "products:write"
