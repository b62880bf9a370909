"""Purges the audit log, with an archive, in a process that is killed at a given step; takes what it needs as JSON."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from app.core import archive
from app.core.db import session as sessions
from app.core.jobs import purge
from app.core.jobs.runner import run_due
from app.core.settings import Environment, Settings
from app.service import running
from tests.crashes import die_after
from tests.databases import NO_FILE
from tests.inline import InlineQueue, RecordingMailer

STEPS: dict[str, tuple[Any, str, int]] = {
    "claimed": (purge, "claimed", 1),
    "written": (archive, "write", 1),
    "verified": (archive, "verify", 1),
    "renamed": (Path, "rename", 1),
    "stored": (archive, "store", 1),
    "deleted": (purge, "remove", 1),
    "committed": (sessions, "commit", 2),
}
"""What the process has just done when it is killed: a function, and how many times it was called."""


async def main(given: dict[str, Any]) -> None:
    """Run the job that is due."""
    settings = Settings(
        **NO_FILE,
        environment=Environment.TEST,
        database_url=given["database"],
        archive_dir=given["folder"],
        secret_key=SecretStr(given["secret"]),
        mailer=RecordingMailer,
        job_queue=InlineQueue,
    )
    async with running(settings, work=False) as found:
        die_after(*STEPS[given["step"]])
        await run_due(found)


if __name__ == "__main__":
    asyncio.run(main(json.load(sys.stdin)))
