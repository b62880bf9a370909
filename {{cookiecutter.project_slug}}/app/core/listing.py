"""Lists whose statements are built once for each of their shapes: what a page costs is to read it.

A list of plain rows is `Listing(Query, Model)`. The fields of the query that filter it say how, in their types:
`state: Annotated[str | None, Equal(Model.state)] = None`. A list that needs objects of the ORM, such as for their
relationships, is a statement for `pagination.paginate` instead.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Integer,
    Row,
    Select,
    bindparam,
    func,
    literal_column,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.core.db.base import Base
from app.core.db.deletion import WITH_DELETED, visible
from app.core.db.session import Database
from app.core.pagination import Found, ListQuery, beyond, order_by, page_of, place_of
from app.core.service import service_of

OWNER = "owner_"
"""The name of the filter by owner, which no query has."""
SHAPES = 512
"""How many statements of a list are kept: one for each set of filters and each order in use."""


@dataclass(frozen=True)
class Filter:
    """The condition that a field of a query stands for, if it is given."""

    column: InstrumentedAttribute[Any]
    condition: Callable[[InstrumentedAttribute[Any], BindParameter[Any]], ColumnElement[bool]]
    value: Callable[[Any], Any] = lambda value: value
    """What is compared with, from what the client gave; `None` if that is no filter."""

    def where(self, name: str) -> ColumnElement[bool]:
        """The condition, on a bind parameter of this name."""
        return self.condition(self.column, bindparam(name, type_=self.column.type))


def Equal(column: InstrumentedAttribute[Any]) -> Filter:  # noqa: N802, reads as a type in annotations
    """The column has this value."""
    return Filter(column, lambda found, given: found == given)


def AtLeast(column: InstrumentedAttribute[Any]) -> Filter:  # noqa: N802
    """The column has this value, or a greater one."""
    return Filter(column, lambda found, given: found >= given)


def AtMost(column: InstrumentedAttribute[Any]) -> Filter:  # noqa: N802
    """The column has this value, or a smaller one."""
    return Filter(column, lambda found, given: found <= given)


def Before(column: InstrumentedAttribute[Any]) -> Filter:  # noqa: N802
    """The column has a smaller value."""
    return Filter(column, lambda found, given: found < given)


def Deleted(column: InstrumentedAttribute[Any]) -> Filter:  # noqa: N802
    """The row was deleted, and can be restored. Without this filter, a list shows no such rows."""
    return Filter(column, lambda found, given: found.is_not(None), lambda wanted: wanted or None)


ESCAPE = "/"


def Containing(column: InstrumentedAttribute[Any]) -> Filter:  # noqa: N802
    """The column contains this text, whatever the case."""
    return Filter(column, lambda found, given: found.icontains(given, escape=ESCAPE), escaped)


def escaped(text: str) -> str:
    """The text in a pattern of LIKE, where none of its characters stands for others."""
    for special in (ESCAPE, "%", "_"):
        text = text.replace(special, ESCAPE + special)
    return text


@dataclass(frozen=True)
class Shape:
    """What of a query changes its statement, and not only the values in it."""

    sort: str
    filters: tuple[str, ...]
    start: str
    """Where it starts: at the beginning, at a `cursor`, or at an `offset`."""
    backwards: bool
    usual: bool
    """Whether it has the default size and no filters: then its limit is written out, and the database may plan it once.

    With filters, the best plan may depend on their values.
    """


class Listing:
    """A list of the rows of a table, as a query declares it."""

    def __init__(
        self,
        query: type[ListQuery],
        model: type[Base],
        *,
        owner: InstrumentedAttribute[Any] | None = None,
    ) -> None:
        self.query = query
        self.model = model
        self.filters = {
            name: found
            for name, field in query.model_fields.items()
            for found in field.metadata
            if isinstance(found, Filter)
        }
        known = ListQuery.model_fields.keys() | self.filters.keys()
        if missing := query.model_fields.keys() - known:
            raise TypeError(
                f"{query.__name__}: say in the type of {', '.join(sorted(missing))} what it filters by,"
                " such as Annotated[..., Equal(Model.column)]"
            )
        if owner is not None:
            self.filters[OWNER] = Equal(owner)
        self.usual: int = query.model_fields["limit"].default
        self.columns = [getattr(model, each.key) for each in model.__mapper__.column_attrs]
        by_id = select(*self.columns).where(model.id == bindparam("id", type_=model.id.type))
        names: list[tuple[str, ...]] = [(), *([] if owner is None else [(OWNER,)])]
        self.by_id = {found: self.filtered(by_id, found) for found in names}
        self.statement = lru_cache(maxsize=SHAPES)(self.build)
        self.counting = lru_cache(maxsize=SHAPES)(self.build_count)

    async def page(
        self, reader: Database | AsyncSession, query: ListQuery, *, only: UUID | None = None
    ) -> Found[Row[Any]]:
        """One page, in the requested order, read without a session if there is none; only the rows of this owner, if one is given."""
        self.require_owner(only)
        keys = service_of(reader).keys
        given = {
            name: value
            for name, each in self.filters.items()
            if (asked := only if name == OWNER else getattr(query, name)) is not None
            and (value := each.value(asked)) is not None
        }
        start = (
            "cursor" if query.place is not None else "offset" if query.offset is not None else ""
        )
        terms = ",".join(query.sort_terms().values())  # however the client has put it
        usual = query.limit == self.usual and not given
        shape = Shape(terms, tuple(given), start, query.is_backwards, usual)
        values: dict[str, Any] = {**given, "limit": query.limit + (start != "offset")}
        if query.place is not None:
            values |= place_of(query, keys)
        elif query.offset is not None:
            values["offset"] = query.offset
        rows = await rows_of(reader, self.statement(shape), values)
        total = None
        if query.with_total:
            (counted,) = await rows_of(reader, self.counting(shape.filters), given)
            total = counted.number
        if query.offset is not None:
            return Found(rows, None, total)
        return page_of(rows, query, keys[0], total)

    async def one(
        self, reader: Database | AsyncSession, item_id: UUID, *, only: UUID | None = None
    ) -> Row[Any] | None:
        """The item with this id; only if it belongs to this owner, if one is given."""
        self.require_owner(only)
        owned = {} if only is None else {OWNER: only}
        found = await rows_of(reader, self.by_id[(*owned,)], {"id": item_id, **owned})
        return found[0] if found else None

    def require_owner(self, only: UUID | None) -> None:
        """Refuse to show all rows where those of one owner are wanted."""
        if only is not None and OWNER not in self.filters:
            raise TypeError(f"give the list of {self.model.__name__} its `owner`")

    def build(self, shape: Shape) -> Select[*tuple[Any, ...]]:
        """The statement of this shape."""
        query = self.query.model_construct(sort=shape.sort)
        query = query.backwards() if shape.backwards else query
        order = order_by(query, reverse=shape.backwards)
        statement = self.filtered(select(*self.columns), shape.filters)
        limit = (
            literal_column(str(self.usual + (shape.start != "offset")), Integer())
            if shape.usual
            else bindparam("limit", type_=Integer())
        )
        statement = statement.order_by(*order).limit(limit)
        if shape.start == "cursor":
            statement = statement.where(beyond(query))
        if shape.start == "offset":
            statement = statement.offset(bindparam("offset", type_=Integer()))
        return statement

    def build_count(self, filters: tuple[str, ...]) -> Select[*tuple[Any, ...]]:
        """The statement that counts all items with these filters."""
        counted = select(func.count(self.model.id).label("number")).select_from(self.model)
        return self.filtered(counted, filters)

    def filtered(
        self, statement: Select[*tuple[Any, ...]], filters: tuple[str, ...]
    ) -> Select[*tuple[Any, ...]]:
        """The statement with these filters."""
        columns = {self.filters[name].column.key for name in filters}
        shown = [] if "deleted_at" in columns else visible(self.model)
        return statement.where(*(self.filters[name].where(name) for name in filters), *shown)


async def rows_of(
    reader: Database | AsyncSession, statement: Select[*tuple[Any, ...]], values: Mapping[str, Any]
) -> Sequence[Row[Any]]:
    """The answer to the statement, within the session if there is one."""
    if isinstance(reader, AsyncSession):
        return (await reader.execute(statement, values, execution_options=WITH_DELETED)).all()
    return await reader.rows(statement, values)
