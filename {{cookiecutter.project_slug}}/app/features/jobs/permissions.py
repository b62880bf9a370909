"""What can be allowed."""

from enum import StrEnum


class JobPermission(StrEnum):
    """Permissions about jobs."""

    READ = "jobs:read"
    RETRY = "jobs:retry"
