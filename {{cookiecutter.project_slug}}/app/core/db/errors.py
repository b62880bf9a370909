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
"""How drivers tell of a reference, by words that no server translates."""


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached, or cannot do its work."""

    told: ClassVar[str] = "The database cannot be reached at the moment. Try again shortly."
    state: ClassVar[str] = "unreachable"
    """What the readiness check calls it."""

    def __init__(self) -> None:
        super().__init__(self.told)


class DatabaseTimeout(DatabaseUnavailable):
    """The database did not answer, or did not get a lock, in time."""

    told = "The database did not answer in time. Try again shortly."


class DatabaseReadOnly(DatabaseUnavailable):
    """The database is a standby, or takes no changes for another reason."""

    told = "The database takes no changes at the moment. Try again shortly."
    state = "read-only"


class NotMigrated(DatabaseUnavailable):
    """The database is older than this code."""

    told = "The database has not been migrated: run `app db upgrade`."
    state = "not migrated: run `app db upgrade`"


def named(error: BaseException | None) -> str:
    """Its type and what it says; some, such as a time-out, say nothing."""
    return f"{type(error).__name__}: {error}".removesuffix(": ")


class LostRace(Conflict):
    """Of two transactions that waited for each other, this one was undone."""

    def __init__(self) -> None:
        super().__init__("Another request changed the same at the same moment. Try again.")


FAILURES: dict[Fault | None, Callable[[], Failure]] = {
    Fault.LATE: DatabaseTimeout,
    Fault.LOST_RACE: LostRace,
    Fault.READ_ONLY: DatabaseReadOnly,
}


class DeletedMeanwhile(NotFound):
    """A row that the request is about was deleted while the request was under way."""

    def __init__(self) -> None:
        super().__init__("What this is about, or refers to, does not exist any more.")


@contextmanager
def reporting_deletion() -> Generator[None]:
    """Say `DeletedMeanwhile` when a row is gone that was to be written, or referred to."""
    try:
        yield
    except (StaleDataError, IntegrityError) as error:
        if isinstance(error, IntegrityError) and not _refers_to_nothing(error):
            raise
        logger.info("a row was deleted meanwhile: %s", error)
        raise DeletedMeanwhile from error


def _refers_to_nothing(error: IntegrityError) -> bool:
    """Whether a row was written whose reference leads nowhere; a deletion breaks them the other way."""
    written = (error.statement or "").startswith(("INSERT", "UPDATE"))
    told = f"{type(error.orig).__name__}: {error.orig}"
    return written and NO_SUCH_ROW.search(told) is not None


@contextmanager
def refusing(constraint: str, failure: Exception) -> Generator[None]:
    """Raise `failure` when a row breaks the unique constraint of that name."""
    try:
        yield
    except IntegrityError as error:
        if _names(str(error.orig), constraint):
            raise failure from error
        raise


def _names(message: str, constraint: str) -> bool:
    """Whether the driver speaks of `constraint`; SQLite names its columns instead."""
    return constraint in message or any(
        message.endswith(", ".join(f"{table.name}.{column.name}" for column in found.columns))
        for table in Base.metadata.tables.values()
        for found in table.constraints
        if isinstance(found, UniqueConstraint) and found.name == constraint
    )
