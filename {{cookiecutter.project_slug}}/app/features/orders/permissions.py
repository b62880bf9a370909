"""Permissions."""

from enum import StrEnum


class OrderPermission(StrEnum):
    """Permissions on orders. Buyers can always see and cancel their own."""

    PLACE = "orders:place"
    READ = "orders:read"
    """The orders of others too."""
    WRITE = "orders:write"
    """Advancing orders, and cancelling those of others."""
    PAY = "orders:pay"
    """Recording payments."""
