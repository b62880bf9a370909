"""SQLite, for development and tests."""

import logging
import sqlite3
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, DateTime, Engine, String, event
from sqlalchemy.engine.interfaces import DBAPIConnection

from app.core.db.dialects.access import Access
from app.core.db.dialects.faults import Fault

logger = logging.getLogger(__name__)

WRITABLE = "create its folder, and let this user write to both"
driver = "sqlite+aiosqlite"
schemes = ("sqlite",)
poolable = False
pooled_args: Mapping[str, Any] = {}
fetch = None
instant = DateTime()
refusals: Mapping[str | int, str] = {  # by message: it is the first argument of the error
    "attempt to write a readonly database": WRITABLE,
    "database or disk is full": "free space on that disk",
    "unable to open database file": WRITABLE,
}
read_options: Mapping[str, Any] = {"isolation_level": "AUTOCOMMIT"}

FAULTS = {
    sqlite3.SQLITE_BUSY: Fault.LATE,
    sqlite3.SQLITE_LOCKED: Fault.LATE,
    sqlite3.SQLITE_READONLY: Fault.READ_ONLY,
}
MISSING = ("no such table", "no such column", "has no column")


def exact_text(length: int) -> String:
    """Compared with case and accents."""
    return String(length)


def connect_args(url: URL, *, timeout: float) -> dict[str, Any]:
    """A writer waits up to `timeout` seconds for the previous one."""
    return {"timeout": timeout}


def configure(engine: Engine, *, role: str, deployed: bool, pooled: bool) -> None:
    """Readers alongside one writer, enforced foreign keys, and no lock upgrade that can deadlock."""

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, record: object) -> None:
        connection.isolation_level = None  # SQLAlchemy's BEGIN below is the only one
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql("BEGIN IMMEDIATE")


def liveness(connection: DBAPIConnection) -> Callable[[], bool]:
    """A file is never away."""
    return lambda: True


def execute_again(engine: Engine) -> None:
    """No connection to a file is lost."""


def keep_index_order(connection: Connection) -> None:
    """It always does."""


def fault_of(error: BaseException | None) -> Fault | None:
    """The fault, by error code; a missing table or column only by message."""
    if any(words in str(error) for words in MISSING):
        return Fault.INCOMPLETE
    code: int = getattr(error, "sqlite_errorcode", 0)
    return FAULTS.get(code & 0xFF)  # the rest is the extended code


def demand_writable(connection: Connection) -> None:
    """Nothing to check in advance: writing to a read-only file fails."""


def written(connection: Connection) -> None:
    """It has no replicas."""


replayed = written


def lock(connection: Connection) -> None:
    """Not needed: a file is for development, where one process migrates."""


def grant(connection: Connection, access: Access) -> None:
    """A file has no roles: a process that can write to it can do everything."""


def enforces(connection: Connection, access: Access) -> bool:
    """There is nothing to grant."""
    return True


def index_text(connection: Connection, access: Access) -> None:
    """It has no index for any part of a text."""


@contextmanager
def embedded(directory: Path) -> Generator[URL]:
    """A file in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "app.db"
    logger.warning("DATABASE_URL is not set: using the SQLite file %s", path)
    yield URL.create(driver, database=str(path))
