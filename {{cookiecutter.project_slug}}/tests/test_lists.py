"""No list sorts all its rows for a page: an index has each order that is allowed."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import PrimaryKeyConstraint, Table, UniqueConstraint
from sqlalchemy.orm import InstrumentedAttribute

import app
from app.core.db.resource import index
from app.core.pagination import Sortable

ROOT = Path(app.__path__[0])
LEADING = index("id", name="any").expressions[:-1]
"""The columns by which the rows of a `Resource` are narrowed before they are sorted."""


def sortables() -> Iterator[tuple[str, Sortable]]:
    """What each list can be sorted by, as the calls of `paginate` say."""
    for source in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "paginate":
                (constant,) = [each.value for each in node.keywords if each.arg == "sortable"]
                assert isinstance(constant, ast.Name), f"give what sorts a list a name: {source}"
                parts = source.relative_to(ROOT.parent).with_suffix("").parts
                module = importlib.import_module(".".join(parts))
                yield f"{parts[-2]}.{constant.id}", getattr(module, constant.id)


LISTS = dict(sortables())


def has_order(table: Table, column: str) -> bool:
    """Whether an index of the table leads through its rows in the order of this column, then of ids."""
    for key in (*table.constraints, *table.indexes):
        unique = isinstance(key, UniqueConstraint | PrimaryKeyConstraint)
        if unique or key in table.indexes:
            columns = [each.name for each in key.columns]
            narrowed = columns[: len(LEADING)] == LEADING
            order = columns[len(LEADING) :] if narrowed else columns
            if order[:2] == [column, "id"] or (unique and order == [column]):
                return True
    return False


def test_the_lists_are_found() -> None:
    assert {"audit.SORTABLE", "jobs.SORTABLE", "users.ROLES", "users.USERS"} <= LISTS.keys()


@pytest.mark.parametrize("name", LISTS)
def test_an_index_has_each_order_that_is_allowed(name: str) -> None:
    columns = cast("dict[str, InstrumentedAttribute[object]]", LISTS[name])
    without = [
        field
        for field, column in columns.items()
        if not has_order(cast("Table", column.class_.__table__), column.key)
    ]

    assert without == []
