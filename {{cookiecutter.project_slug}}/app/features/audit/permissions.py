"""Permissions."""

from enum import StrEnum


class AuditPermission(StrEnum):
    """Permissions on the audit log."""

    READ = "audit:read"
