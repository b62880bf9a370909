"""`Resource`: the base of every row that a customer owns, and how such tables are constrained.

Models build their constraints with these functions, so that the scope of a row is decided here.
"""

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint

from app.core.db.base import Base


class Resource(Base):
    """A row that belongs to a customer."""

    __abstract__ = True


def unique(*columns: str, name: str) -> UniqueConstraint:
    """No two rows share these columns."""
    return UniqueConstraint(*columns, name=name)


def index(*columns: str, name: str) -> Index:
    """Rows are looked up or sorted by these columns, in this order."""
    return Index(name, *columns)


def reference(
    column: str, table: str, *, name: str, ondelete: str = "RESTRICT"
) -> ForeignKeyConstraint:
    """`column` holds the id of a row in `table`."""
    return ForeignKeyConstraint([column], [f"{table}.id"], name=name, ondelete=ondelete)
