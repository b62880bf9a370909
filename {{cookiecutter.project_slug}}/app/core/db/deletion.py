"""Rows that can be restored after their deletion, for a while; until then they are hidden.

A model is `Restorable`. `select` finds no deleted rows, nor do relationships, `get` and the lists of `Listing`, unless it is executed
with the option `WITH_DELETED`. A unique constraint that includes `live` ignores them: `Resource.unique("number", "live", ...)`.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, event, text
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, mapped_column, with_loader_criteria

from app.core.db.base import utc_now

SHOWN = "with_deleted"
WITH_DELETED: dict[str, Any] = {SHOWN: True}
"""The execution option for statements that also find deleted rows."""


class Restorable:
    """A row that is hidden when it is deleted."""

    deleted_at: Mapped[datetime | None] = mapped_column(sort_order=2)
    live: Mapped[bool | None] = mapped_column(
        default=True, server_default=text("true"), sort_order=3
    )
    """Null once the row is deleted: databases consider no two nulls equal."""

    def __init_subclass__(cls, **options: Any) -> None:  # noqa: ANN401
        super().__init_subclass__(**options)
        if not event.contains(Session, "do_orm_execute", hide):
            event.listen(Session, "do_orm_execute", hide)

    def delete(self) -> None:
        """Hide it."""
        self.deleted_at, self.live = utc_now(), None

    def restore(self) -> None:
        """Show it again; another row may have taken what is unique of it."""
        self.deleted_at, self.live = None, True


def visible(model: type[Any]) -> list[ColumnElement[bool]]:
    """For statements that are executed without a session: the condition of rows that are not deleted, if rows of this model can be."""
    return [model.deleted_at.is_(None)] if issubclass(model, Restorable) else []


def hide(state: ORMExecuteState) -> None:
    """Have the statement find no deleted rows."""
    wanted = state.execution_options.get(SHOWN) or state.is_column_load
    if state.is_orm_statement and not wanted and not state.is_insert:
        state.statement = state.statement.options(
            with_loader_criteria(
                Restorable, lambda model: model.deleted_at.is_(None), include_aliases=True
            )
        )
