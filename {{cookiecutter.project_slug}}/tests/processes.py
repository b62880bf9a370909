"""The service in processes of its own, as it is deployed."""

import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from httpx2 import AsyncClient, TransportError

from app.core.db.migrations import ROOT
from app.core.settings import Settings
from tests.outages import eventually
from tests.ports import free_port

SERVE = ("app", "serve", "--host", "127.0.0.1", "--port")
PLAIN = ("uvicorn", "--factory", "app.main:create_app", "--port")


class Process:
    """A service that was started."""

    def __init__(self, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
        self.port = port
        self.process = process
        self.log = log

    def client(self) -> AsyncClient:
        """A client of it."""
        return AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=30, trust_env=False)

    async def status(self, path: str = "/health/ready") -> int:
        """What a new connection is answered; 0 if there is none."""
        with suppress(TransportError):
            async with self.client() as client:
                return (await client.get(path)).status_code
        return 0

    async def ready(self) -> bool:
        """Whether it can do its work."""
        return await self.status() == 200

    async def ended(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None


@asynccontextmanager
async def started(
    settings: Settings,
    log: Path,
    command: Sequence[str] = SERVE,
    more: Sequence[str] = (),
    **environ: str,
) -> AsyncGenerator[Process]:
    """The service, ready, on the database of the settings; killed at the end if it still runs."""
    assert settings.database_url
    url = settings.database_url.render_as_string(hide_password=False)
    given = {"DATABASE_URL": url, "ENVIRONMENT": "test", "SECRET_KEY": "s" * 40, **environ}
    port = free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: ASYNC220, S603, this program, and it takes no time
            [sys.executable, "-m", *command, str(port), *more],
            cwd=ROOT,
            env={**os.environ, **given},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    found = Process(port, process, log)
    try:
        await eventually(found.ready)
        yield found
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
