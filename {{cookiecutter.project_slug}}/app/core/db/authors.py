"""Rows that say who created them and who last changed them; the audit log says the rest."""

from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from app.core.context import actor


def acting() -> UUID | None:
    """The user in whose request, or whose job, this happens."""
    return actor.get().user_id


class Authored:
    """A row whose authors are recorded: ids, which stay when an account is deleted."""

    created_by: Mapped[UUID | None] = mapped_column(default=acting, sort_order=4)
    updated_by: Mapped[UUID | None] = mapped_column(default=acting, onupdate=acting, sort_order=5)
