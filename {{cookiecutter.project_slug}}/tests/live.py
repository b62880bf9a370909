"""The service in processes of its own."""

import os
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from httpx2 import AsyncClient, TransportError

from app.core.settings import Settings
from tests.outages import eventually
from tests.ports import free_port

SERVE = ("-m", "app", "serve")


@contextmanager
def server(
    root: Path,
    settings: Settings,
    environ: Mapping[str, str],
    workers: int = 1,
    *,
    command: Sequence[str] = SERVE,
    log: Path = Path(os.devnull),
) -> Generator[str]:
    """The URL of a service of so many processes, which writes to `log`."""
    assert settings.database_url
    port = free_port()
    url = settings.database_url.render_as_string(hide_password=False)
    options = ["--workers", str(workers), "--host", "127.0.0.1", "--port", str(port)]
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603, this program
            [sys.executable, *command, *options],
            cwd=root,
            env={**os.environ, "DATABASE_URL": url, "ENVIRONMENT": "test", **environ},
            stdout=subprocess.DEVNULL,
            stderr=output,
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=60)


async def started(client: AsyncClient) -> None:
    """Wait until it is ready."""

    async def ready() -> bool:
        with suppress(TransportError):
            return (await client.get("/health/ready")).status_code == 200
        return False

    await eventually(ready)
