"""Constraints of tables: models build theirs with the methods of their base."""

from typing import ClassVar, Literal

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint

from app.core.db.types import references


class Constrained:
    """Builds the constraints of tables with one kind of row."""

    leads_with: ClassVar[tuple[str, ...]] = ()
    """The leading columns of every key."""

    @classmethod
    def unique(cls, *columns: str, name: str) -> UniqueConstraint:
        """No two rows share these columns."""
        return UniqueConstraint(*cls.leads_with, *columns, name=name)

    @classmethod
    def index(cls, *columns: str, name: str) -> Index:
        """Rows are looked up or sorted by these columns, in this order."""
        return Index(name, *cls.leads_with, *columns)

    @classmethod
    def reference(
        cls,
        column: str,
        table: str,
        *,
        name: str,
        ondelete: Literal["RESTRICT", "CASCADE"] = "RESTRICT",
    ) -> ForeignKeyConstraint:
        """`column` holds the id of a row in `table`, which is a table of the same kind."""
        keys = references(table, *cls.leads_with, column)
        return ForeignKeyConstraint(*keys, name=name, ondelete=ondelete)
