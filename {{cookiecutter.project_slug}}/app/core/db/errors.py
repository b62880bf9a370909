"""How failures of the database become failures of the service."""

from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy import UniqueConstraint
from sqlalchemy.exc import DBAPIError, IntegrityError, TimeoutError as PoolTimeoutError

from app.core.db.base import Base
from app.core.errors import Conflict, Unavailable

# Deadlocks and failures of serialization: an SQLSTATE, or a number of the server's own.
LOST_RACES = {"40001", "40P01", 1213}


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached, or did not answer in time."""

    def __init__(self) -> None:
        super().__init__("The database cannot be reached at the moment. Try again shortly.")


class LostRace(Conflict):
    """Of two transactions that waited for each other, this one was undone."""

    def __init__(self) -> None:
        super().__init__("Another request changed the same at the same moment. Try again.")


@contextmanager
def reporting_outage() -> Generator[None]:
    """Turn a lost connection, or a wait for one, into `DatabaseUnavailable`; a deadlock into `LostRace`."""
    try:
        yield
    except DBAPIError as error:
        if error.connection_invalidated or isinstance(error.orig, TimeoutError):
            raise DatabaseUnavailable from error
        if _codes(error) & LOST_RACES:
            raise LostRace from error
        raise
    except PoolTimeoutError as error:
        raise DatabaseUnavailable from error


@contextmanager
def refusing(constraint: str, failure: Exception) -> Generator[None]:
    """Raise `failure` when a row breaks the unique constraint of that name."""
    try:
        yield
    except IntegrityError as error:
        if _names(str(error.orig), constraint):
            raise failure from error
        raise


def _codes(error: DBAPIError) -> set[object]:
    """What the driver calls the error; some in an attribute, others in front of its words."""
    return {getattr(error.orig, "sqlstate", None), *(error.orig.args[:1] if error.orig else ())}


def _names(message: str, constraint: str) -> bool:
    """Whether the driver speaks of `constraint`; SQLite names its columns instead."""
    return constraint in message or any(
        message.endswith(", ".join(f"{table.name}.{column.name}" for column in found.columns))
        for table in Base.metadata.tables.values()
        for found in table.constraints
        if isinstance(found, UniqueConstraint) and found.name == constraint
    )
