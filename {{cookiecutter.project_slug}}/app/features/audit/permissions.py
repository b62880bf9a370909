"""What can be allowed."""

from enum import StrEnum


class AuditPermission(StrEnum):
    """Permissions about the audit log."""

    READ = "audit:read"
