"""No list sorts all its rows for a page: an index covers each allowed order."""

from collections.abc import Iterator
from typing import cast

import pytest
from sqlalchemy import PrimaryKeyConstraint, Table, UniqueConstraint

import app.installed  # noqa: F401  # pyright: ignore[reportUnusedImport], declares every list
from app.core.db.resource import Resource
from app.core.pagination import ListQuery

LEADING = Resource.index("id", name="any").expressions[:-1]
"""The columns by which the rows of a `Resource` are narrowed before they are sorted."""


def declared(query: type[ListQuery]) -> Iterator[type[ListQuery]]:
    """The lists of the service, each a query of its own."""
    for each in query.__subclasses__():
        if each.__module__.startswith("app."):
            yield each
        yield from declared(each)


def has_order(table: Table, column: str) -> bool:
    """Whether an index of the table orders its rows by this column, then by id."""
    for key in (*table.constraints, *table.indexes):
        unique = isinstance(key, UniqueConstraint | PrimaryKeyConstraint)
        if unique or key in table.indexes:
            columns = [each.name for each in key.columns]
            narrowed = columns[: len(LEADING)] == LEADING
            order = columns[len(LEADING) :] if narrowed else columns
            if order[:2] == [column, "id"] or (unique and order == [column]):
                return True
    return False


@pytest.mark.parametrize("query", [*declared(ListQuery)], ids=lambda query: query.__name__)
def test_an_index_has_each_order_that_is_allowed(query: type[ListQuery]) -> None:
    without = [
        field
        for field, column in query.sortable.columns.items()
        if not has_order(cast("Table", column.class_.__table__), column.key)
    ]

    assert without == []
