"""Permissions."""

from enum import StrEnum


class OrderPermission(StrEnum):
    """Permissions on orders. Everybody who orders sees and cancels their own."""

    PLACE = "orders:place"
    READ = "orders:read"
    """The orders of others too."""
    WRITE = "orders:write"
    """Advancing orders, and cancelling those of others."""
    PAY = "orders:pay"
    """Recording payments."""
