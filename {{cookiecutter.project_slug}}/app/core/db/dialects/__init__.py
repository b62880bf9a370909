"""What differs from one database to another, one module for each."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import URL, Connection, DateTime, Engine, String, make_url
from sqlalchemy.exc import ArgumentError

from app.core.db.dialects import (
    # {% if cookiecutter.database == "mysql" %}
    mysql,
    # {% endif %}
    # {% if cookiecutter.database == "postgresql" %}
    postgresql,
    # {% endif %}
    sqlite,
)
from app.core.db.dialects.access import Access
from app.core.db.dialects.faults import Fault


class Dialect(Protocol):
    """One database system. A module is an adapter when it has these names."""

    @property
    def driver(self) -> str:
        """SQLAlchemy's name of the database and its driver, such as `sqlite+aiosqlite`."""
        ...

    @property
    def schemes(self) -> tuple[str, ...]:
        """How URLs name the database, SQLAlchemy's own name first."""
        ...

    @property
    def instant(self) -> DateTime:
        """The column type that keeps an instant to the microsecond."""
        ...

    def exact_text(self, length: int) -> String:
        """Text in which letters of another case, or with another accent, are other letters."""
        ...

    @property
    def refusals(self) -> Mapping[str | int, str]:
        """What to do about the codes with which a server refuses a connection until that is done."""
        ...

    @property
    def read_options(self) -> Mapping[str, Any]:
        """Execution options of sessions that only read."""
        ...

    def connect_args(self, url: URL, *, timeout: float) -> dict[str, Any]:
        """Arguments of the driver's `connect`; `timeout` bounds connecting and each statement."""
        ...

    def configure(self, engine: Engine, *, role: str, deployed: bool) -> None:
        """Prepare every connection that the service's engine will open."""
        ...

    def keep_index_order(self, connection: Connection) -> None:
        """In this transaction: read by an index in its order rather than read all and sort."""
        ...

    def fault_of(self, error: BaseException | None) -> Fault | None:
        """What the driver's `error` says about the database; nothing when it is about a statement."""
        ...

    def demand_writable(self, connection: Connection) -> None:
        """Have the database fail, as a write would, when it takes no changes on this connection."""
        ...

    def lock(self, connection: Connection) -> None:
        """Let one process at a time migrate; released with the connection."""
        ...

    def grant(self, connection: Connection, access: Access) -> None:
        """After a migration: give the service what it needs, and no more."""
        ...

    def enforces(self, connection: Connection, access: Access) -> bool:
        """Whether append-only tables keep their rows for as long as `access` says."""
        ...

    def embedded(self, directory: Path) -> AbstractContextManager[URL]:
        """A database that needs no set-up, for development and tests."""
        ...


DIALECTS: list[Dialect] = [
    # {% if cookiecutter.database == "postgresql" %}
    postgresql,
    # {% endif %}
    # {% if cookiecutter.database == "mysql" %}
    mysql,
    # {% endif %}
    sqlite,
]

BY_SCHEME = {scheme: dialect for dialect in DIALECTS for scheme in dialect.schemes}


def dialect_of(url: URL) -> Dialect:
    """The adapter for the database that `url` names."""
    return BY_SCHEME[url.get_backend_name()]


def parse_url(value: object) -> URL | None:
    """Read a database URL as providers hand it out, and name the driver that the service uses."""
    if isinstance(value, URL):
        return value
    if not value:
        return None
    try:
        url = make_url(str(value))
    except (ArgumentError, ValueError):
        raise ValueError(f"is not a database URL, such as {EXAMPLE_URL}") from None
    if "@" in (url.host or ""):
        raise ValueError("has an @ in the user or the password: write it as %40")
    scheme = url.get_backend_name()
    if scheme not in BY_SCHEME:
        spoken = " and ".join(dialect.schemes[0] for dialect in DIALECTS)
        raise ValueError(f"names {scheme}, but this service speaks {spoken}")
    return url.set(drivername=BY_SCHEME[scheme].driver)


EXAMPLE_URL = f"{DIALECTS[0].schemes[0]}://user:password@host/database"
