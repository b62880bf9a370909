"""A statement is executed again, once and on a new connection, if its own was lost before anything had happened.

That is so for the first of a transaction, which cannot have been committed, and for each that only reads.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Dialect, Engine, event
from sqlalchemy.engine.interfaces import DBAPICursor

from app.core.db.dialects.faults import Fault

STALE = ("InvalidCachedStatementError", "InternalServerError")
"""What a driver raises if a migration has changed what a statement reads since the connection prepared it."""


OPENED, ALIVE, IDLE_SINCE = "opened", "alive", "idle_since"
OWN = {OPENED, ALIVE, IDLE_SINCE}
"""What the pool notes in a connection's `info`. Whatever else is there was set for a session, and would be lost."""


def is_stale(dialect: Dialect, error: BaseException) -> bool:
    """Whether the connection has prepared the statement for a table as it was."""
    return isinstance(error, tuple(getattr(dialect.loaded_dbapi, name, ()) for name in STALE))


def only_reads(statement: str) -> bool:
    """Whether it changes nothing, as far as its first word says; that of a `WITH` does not."""
    return statement.lstrip()[:6].upper() == "SELECT"


def is_lost(
    dialect: Dialect,
    connection: Any,  # noqa: ANN401, SQLAlchemy's
    cursor: DBAPICursor | None,
    error: BaseException,
) -> bool:
    """Whether the connection is of no use any more."""
    dbapi = dialect.loaded_dbapi
    return isinstance(error, OSError) or (
        isinstance(error, dbapi.Error) and dialect.is_disconnect(error, connection, cursor)
    )


def forget_prepared(dialect: Any) -> None:  # noqa: ANN401, of any driver
    """As SQLAlchemy does for its own statements: other connections may have prepared them as well."""
    if forget := getattr(dialect, "_invalidate_schema_cache", None):
        forget()


def execute_again(
    engine: Engine,
    is_first: Callable[[Any, str], bool],
    fault_of: Callable[[BaseException | None], Fault | None],
) -> None:
    """Do so for what this engine executes, where `is_first` says of a cursor and its statement that nothing has happened yet."""

    @event.listens_for(engine, "do_execute")
    def execute(cursor: Any, statement: str, parameters: Any, context: object) -> bool:  # noqa: ANN401
        first = is_first(cursor, statement)
        try:
            cursor.execute(statement, parameters)
        except Exception as error:
            if not first or not renewed(cursor, context, error, fault_of(error)):
                raise
            cursor.execute(statement, parameters)
        return True


def renewed(
    cursor: Any,  # noqa: ANN401, SQLAlchemy's adapter
    context: Any,  # noqa: ANN401, likewise
    error: Exception,
    fault: Fault | None,
) -> bool:
    """Give the cursor, and its transaction, a new connection if `error` says that the old one is lost or outdated."""
    root = context.root_connection
    fairy, dialect = root.connection, root.dialect
    stale = is_stale(dialect, error)
    if fault is Fault.LATE or not (stale or is_lost(dialect, fairy, cursor, error)):
        return False
    if any(value is not None for name, value in fairy.info.items() if name not in OWN):
        return False
    if stale:
        forget_prepared(dialect)
    record = fairy._connection_record
    record.invalidate(error)
    try:
        fairy.dbapi_connection = record.get_connection()
    except Exception:  # noqa: BLE001, the database is away, and that is what the first error says
        return False
    if level := root.get_execution_options().get("isolation_level"):
        dialect.set_isolation_level(fairy.dbapi_connection, level)
        record.finalize_callback.append(dialect.reset_isolation_level)
    cursor.__init__(fairy.dbapi_connection)  # SQLAlchemy continues with this one
    return True
