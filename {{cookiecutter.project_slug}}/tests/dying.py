"""Places an order in a process that is killed at a given step; takes what it needs as JSON."""

import asyncio
import json
import sys
from typing import Any

from pydantic import SecretStr

from app.core.db import session as sessions
from app.core.settings import Environment, Settings
from app.features.idempotency import deps
from app.features.orders import service
from app.main import create_app
from app.service import running
from conftest import client_over
from tests.crashes import die_after
from tests.databases import NO_FILE
from tests.inline import InlineQueue, RecordingMailer

STEPS: dict[str, tuple[Any, str, int]] = {
    "claimed": (deps, "claim", 1),
    "taken": (service.products, "take", 1),
    "placed": (service, "place", 1),
    "settled": (deps, "settle", 1),
    "committed": (sessions, "commit", 2),
}
"""What the process has just done when it is killed: a function, and how many times it was called."""


async def main(given: dict[str, Any]) -> None:
    """Order a piece."""
    settings = Settings(
        **NO_FILE,
        environment=Environment.TEST,
        database_url=given["database"],
        secret_key=SecretStr(given["secret"]),
        mailer=RecordingMailer,
        job_queue=InlineQueue,
    )
    async with running(settings, work=False) as found:
        die_after(*STEPS[given["step"]])
        async with client_over(create_app(settings), found) as client:
            await client.post("/api/v1/orders", json=given["order"], headers=given["headers"])


if __name__ == "__main__":
    asyncio.run(main(json.load(sys.stdin)))
