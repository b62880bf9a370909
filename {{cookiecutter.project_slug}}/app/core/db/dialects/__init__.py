"""What differs between databases, one module for each."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import URL, Connection, DateTime, Engine, String, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import PoolProxiedConnection

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

Fetch = Callable[[PoolProxiedConnection, str, tuple[Any, ...]], Awaitable[Sequence[Sequence[Any]]]]
"""Reads all rows of a statement with these arguments."""


class Dialect(Protocol):
    """A database system; a module with these names is an adapter."""

    @property
    def driver(self) -> str:
        """SQLAlchemy's name for the database and its driver, such as `sqlite+aiosqlite`."""
        ...

    @property
    def schemes(self) -> tuple[str, ...]:
        """The database's schemes in URLs, SQLAlchemy's own first."""
        ...

    @property
    def instant(self) -> DateTime:
        """The column type that stores an instant to the microsecond."""
        ...

    def exact_text(self, length: int) -> String:
        """The column type for text that is compared with case and accents."""
        ...

    @property
    def refusals(self) -> Mapping[str | int, str]:
        """What to do about a server's refusal that lasts until it is done, by error code."""
        ...

    @property
    def read_options(self) -> Mapping[str, Any]:
        """Execution options of sessions that only read."""
        ...

    def connect_args(self, url: URL, *, timeout: float) -> dict[str, Any]:
        """Arguments of the driver's `connect`; `timeout` bounds connecting and each statement."""
        ...

    @property
    def poolable(self) -> bool:
        """Whether the service works behind a pooler of transactions."""
        ...

    @property
    def pooled_args(self) -> Mapping[str, Any]:
        """Further arguments of `connect` for a connection to such a pooler."""
        ...

    @property
    def fetch(self) -> Fetch | None:
        """Has the driver itself read rows, without a transaction; raises the errors of SQLAlchemy's adapter."""
        ...

    def configure(self, engine: Engine, *, role: str, deployed: bool, pooled: bool) -> None:
        """Prepare every connection that the service's engine will open; those to a pooler keep nothing."""
        ...

    def liveness(self, connection: DBAPIConnection) -> Callable[[], bool]:
        """What says, without asking the server, whether this connection was closed; called at each checkout."""
        ...

    def execute_again(self, engine: Engine) -> None:
        """Execute what is lost with its connection again, if nothing has happened on it."""
        ...

    def keep_index_order(self, connection: Connection) -> None:
        """In this transaction, read in the order of an index rather than read all and sort."""
        ...

    def fault_of(self, error: BaseException | None) -> Fault | None:
        """What the driver's `error` says about the database; `None` if it is about a statement."""
        ...

    def demand_writable(self, connection: Connection) -> None:
        """Fail as a write would if the database is read-only on this connection."""
        ...

    def written(self, connection: Connection) -> Any:  # noqa: ANN401, the database's own
        """How much a primary has written, if it can be compared with what its replicas have."""
        ...

    def replayed(self, connection: Connection) -> Any:  # noqa: ANN401, likewise
        """How much of that a replica has; `None` if it does not say."""
        ...

    def lock(self, connection: Connection) -> None:
        """Let one process at a time migrate; released with the connection."""
        ...

    def grant(self, connection: Connection, access: Access) -> None:
        """After a migration, grant the service what it needs, and no more."""
        ...

    def enforces(self, connection: Connection, access: Access) -> bool:
        """Whether append-only tables keep their rows for as long as `access` says."""
        ...

    def index_text(self, connection: Connection, access: Access) -> None:
        """Index text that is searched for parts of it, if the server can."""
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
    """Parse a database URL as providers hand it out, and set the driver that the service uses."""
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
        raise ValueError(f"names {scheme}, but this service supports {spoken}")
    return url.set(drivername=BY_SCHEME[scheme].driver)


EXAMPLE_URL = f"{DIALECTS[0].schemes[0]}://user:password@host/database"
