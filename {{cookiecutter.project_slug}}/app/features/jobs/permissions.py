"""Permissions."""

from enum import StrEnum


class JobPermission(StrEnum):
    """Permissions on jobs."""

    READ = "jobs:read"
    RETRY = "jobs:retry"
