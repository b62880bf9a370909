"""Why connecting to a database fails, and how to fix it."""

from collections.abc import Callable, Iterator
from socket import gaierror
from typing import Any

from sqlalchemy import URL, Dialect, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from app.core.db.dialects import dialect_of

# The first match applies; an unreachable server may come back.
AWAY: dict[type[BaseException], str] = {
    gaierror: "the host {place} is unknown: correct it",
    TimeoutError: "{place} does not answer: check that the server runs, and that it is reachable",
    FileNotFoundError: "there is no socket in {place}: start the server, or correct the host",
    OSError: "{place} cannot be reached ({reason}): start the server, or correct host and port",
    Exception: "cannot connect to {place}: {reason}",
}


class Refused(RuntimeError):
    """A failed connection: the variable that names the database, what is wrong, what to do."""

    def __init__(self, text: str, *, lasting: bool) -> None:
        super().__init__(text)
        self.lasting = lasting
        """Whether it persists until the settings or the server are corrected."""


def explain(engine: Engine, variable: str) -> None:
    """Raise `Refused` if a connection cannot be opened, whatever the driver raises."""

    @event.listens_for(engine, "do_connect")
    def open_connection(
        dialect: Dialect, record: ConnectionPoolEntry, args: list[Any], kwargs: dict[str, Any]
    ) -> DBAPIConnection:
        return opened(engine.url, variable, lambda: dialect.connect(*args, **kwargs))


def opened(url: URL, variable: str, connect: Callable[[], DBAPIConnection]) -> DBAPIConnection:
    """The connection, or `Refused`, whatever the driver raises."""
    try:
        return connect()
    except Exception as error:
        raise refused(url, variable, error) from error


def refused(url: URL, variable: str, error: Exception) -> Refused:
    """What the driver raised, without a password."""
    if known := lasting(url, variable, error):
        return known
    found = next(
        text.format(place=place(url), reason=reason(cause))
        for kind, text in AWAY.items()
        for cause in chain(error)
        if isinstance(cause, kind)
    )
    return Refused(f"{variable}: {found}", lasting=False)


def lasting(url: URL, variable: str, error: BaseException) -> Refused | None:
    """What the server refuses until it is corrected, if it is that."""
    for cause in chain(error):
        for code in (getattr(cause, "sqlstate", None), *cause.args[:1]):
            if isinstance(code, str | int) and (advice := dialect_of(url).refusals.get(code)):
                return Refused(f"{variable}: {reason(cause)}: {advice}", lasting=True)
    return None


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and its causes."""
    while error is not None:
        yield error
        error = error.__cause__


def reason(error: BaseException) -> str:
    """What the driver or the system says, on one line."""
    return " ".join(str(error.args[-1] if error.args else type(error).__name__).split())


def place(url: URL) -> str:
    """Where the database is."""
    host = url.host or url.query.get("host")
    if host is None:
        return url.database or "this machine"
    return f"{host}:{url.port}" if url.port else str(host)


def is_lasting(error: BaseException) -> bool:
    """Whether waiting cannot resolve what `error` was raised from."""
    return isinstance(error.__cause__, Refused) and error.__cause__.lasting
