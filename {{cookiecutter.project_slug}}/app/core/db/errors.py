"""How failures of the database become failures of the service."""

import logging
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import ClassVar

from sqlalchemy import UniqueConstraint
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError

from app.core.db.base import Base
from app.core.db.dialects.faults import Fault
from app.core.errors import Conflict, Failure, NotFound, Unavailable

logger = logging.getLogger(__name__)

NO_SUCH_ROW = re.compile(r"ForeignKeyViolation|\(1452,|FOREIGN KEY constraint failed")
"""How drivers report a broken reference, in words that no server translates."""


class DatabaseUnavailable(Unavailable):
    """The database is unreachable, or cannot do its work."""

    told: ClassVar[str] = "The database cannot be reached at the moment. Try again shortly."
    state: ClassVar[str] = "unreachable"
    """What the readiness check calls it."""

    def __init__(self) -> None:
        super().__init__(self.told)


class DatabaseTimeout(DatabaseUnavailable):
    """The database did not respond, or did not get a lock, in time."""

    told = "The database did not answer in time. Try again shortly."


class DatabaseReadOnly(DatabaseUnavailable):
    """The database is a standby, or read-only for another reason."""

    told = "The database is read-only at the moment. Try again shortly."
    state = "read-only"


class NotMigrated(DatabaseUnavailable):
    """The database is older than this code."""

    told = "The database has not been migrated: run `app db upgrade`."
    state = "not migrated: run `app db upgrade`"


class SchemaChanged(DatabaseUnavailable):
    """A migration changed a table while a transaction was using it."""

    told = "The database is being migrated. Try again shortly."


class Outdated(DatabaseUnavailable):
    """The database is newer than this code, and no longer has what it needs."""

    told = "A newer version of the service takes over. Try again shortly."


def named(error: BaseException | None) -> str:
    """The type and message of an error; some, such as a timeout, have no message."""
    return f"{type(error).__name__}: {error}".removesuffix(": ")


class LostRace(Conflict):
    """This transaction conflicted with another, and was rolled back."""

    def __init__(self) -> None:
        super().__init__("A concurrent request changed the same data. Try again.")


FAILURES: dict[Fault | None, Callable[[], Failure]] = {
    Fault.LATE: DatabaseTimeout,
    Fault.CHANGED: SchemaChanged,
    Fault.LOST_RACE: LostRace,
    Fault.READ_ONLY: DatabaseReadOnly,
}


class DeletedMeanwhile(NotFound):
    """A row that the request refers to was deleted during the request."""

    def __init__(self) -> None:
        super().__init__("A resource that this request refers to no longer exists.")


@contextmanager
def reporting_deletion() -> Generator[None]:
    """Raise `DeletedMeanwhile` if a row that is to be written, or referred to, is gone."""
    try:
        yield
    except (StaleDataError, IntegrityError) as error:
        if isinstance(error, IntegrityError) and not _refers_to_nothing(error):
            raise
        if isinstance(error, StaleDataError) and _counts_changes(str(error)):
            raise LostRace from error
        logger.info("a row was deleted meanwhile: %s", error)
        raise DeletedMeanwhile from error


def _counts_changes(message: str) -> bool:
    """Whether the rows of the table that SQLAlchemy's message names have versions, and may just have another one."""
    found = re.search(r"table '(\w+)'", message)
    table = Base.metadata.tables.get(found[1]) if found else None
    return table is not None and "version" in table.columns


def _refers_to_nothing(error: IntegrityError) -> bool:
    """Whether a written row refers to a missing one; a deletion breaks references the other way."""
    written = (error.statement or "").startswith(("INSERT", "UPDATE"))
    told = f"{type(error.orig).__name__}: {error.orig}"
    return written and NO_SUCH_ROW.search(told) is not None


@contextmanager
def refusing(constraint: str, failure: Exception) -> Generator[None]:
    """Raise `failure` if a row violates the unique constraint of that name."""
    try:
        yield
    except IntegrityError as error:
        if _names(str(error.orig), constraint):
            raise failure from error
        raise


def _names(message: str, constraint: str) -> bool:
    """Whether the driver's message names `constraint`; SQLite names its columns instead."""
    return constraint in message or any(
        message.endswith(", ".join(f"{table.name}.{column.name}" for column in found.columns))
        for table in Base.metadata.tables.values()
        for found in table.constraints
        if isinstance(found, UniqueConstraint) and found.name == constraint
    )
