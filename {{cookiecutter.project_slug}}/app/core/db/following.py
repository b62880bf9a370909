"""Following each statement of a database, by its SQL without values."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import ExceptionContext

from app.core.db.prepared import Reads

# Entered around a statement, by the name of SQLAlchemy's dialect and the SQL.
Follow = Callable[[str, str], AbstractContextManager[object]]


def follow(engine: Engine, reads: Reads, enter: Follow) -> None:
    """Enter it around what SQLAlchemy executes, and around what is read on the driver's own connection."""
    around = partial(enter, engine.dialect.name)

    def begin(connection: object, cursor: object, sql: str, values: object, *rest: Any) -> None:  # noqa: ANN401
        context = rest[0]
        context.followed = around(sql)
        context.followed.__enter__()

    def end(connection: object, cursor: object, sql: str, values: object, *rest: Any) -> None:  # noqa: ANN401
        rest[0].followed.__exit__(None, None, None)

    def fail(context: ExceptionContext) -> None:
        error = context.original_exception
        if followed := getattr(context.execution_context, "followed", None):
            followed.__exit__(type(error), error, error.__traceback__)

    event.listen(engine, "before_cursor_execute", begin)
    event.listen(engine, "after_cursor_execute", end)
    event.listen(engine, "handle_error", fail, insert=True)  # another may raise, and end the round
    reads.own_listeners += 2
    reads.around = around
