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

from app.core.db.base import SEARCHED, Base
from app.core.db.deletion import WITH_DELETED, visible
from app.core.db.session import Database
from app.core.pagination import (
    Found,
    ListQuery,
    Part,
    conditions,
    order_by,
    page_of,
    place_of,
    read_parts,
)
from app.core.service import service_of
from app.core.sorting import stored

Bound = BindParameter[Any]
OWNER = "owner_"
"""The name of the filter by owner, which no query has."""
SHAPES = 512
"""How many statements of a list are kept: one for each set of filters and each order in use."""


@dataclass(frozen=True)
class Filter:
    """The condition that a field of a query stands for, if it is given."""

    column: InstrumentedAttribute[Any]
    condition: Callable[[InstrumentedAttribute[Any], Sequence[Bound]], ColumnElement[bool]]
    """On the column, and a bind parameter for each value."""
    values: Callable[[Any], Sequence[Any]] = lambda value: (value,)
    """What is compared with, from what the client gave; nothing if that is no filter."""

    def where(self, name: str, count: int) -> ColumnElement[bool]:
        """The condition, on bind parameters of these names."""
        kind = self.column.type
        bound = [bindparam(each, type_=kind) for each in names_of(name, count)]
        return self.condition(self.column, bound)


def names_of(name: str, count: int) -> list[str]:
    """The bind parameters for the values of a filter."""
    return [name, *(f"{name}_{number}" for number in range(1, count))]


def Equal(column: InstrumentedAttribute[Any]) -> Filter:  # noqa: N802, reads as a type in annotations
    """The column has this value."""
    return Filter(column, lambda found, given: found == given[0])


def In(column: InstrumentedAttribute[Any]) -> Filter:  # noqa: N802
    """The column has one of these values, which a query declares as `Several[...]`."""
    return Filter(column, lambda found, given: found.in_(given), padded)


def padded(values: Sequence[Any]) -> Sequence[Any]:
    """The values, the last one repeated until their number is a power of two, so that a list has few statements.

    An array in one parameter would need another condition on each database, and not all have one that an index serves.
    """
    size = 1 << (len(values) - 1).bit_length()
    return [*values, *[values[-1]] * (size - len(values))]


def AtLeast(column: InstrumentedAttribute[Any]) -> Filter:  # noqa: N802
    """The column has this value, or a greater one."""
    return Filter(column, lambda found, given: found >= given[0])


def AtMost(column: InstrumentedAttribute[Any]) -> Filter:  # noqa: N802
    """The column has this value, or a smaller one."""
    return Filter(column, lambda found, given: found <= given[0])


def Before(column: InstrumentedAttribute[Any]) -> Filter:  # noqa: N802
    """The column has a smaller value."""
    return Filter(column, lambda found, given: found < given[0])


def Deleted(column: InstrumentedAttribute[Any]) -> Filter:  # noqa: N802
    """The row was deleted, and can be restored. Without this filter, a list shows no such rows."""
    return Filter(
        column, lambda found, given: found.is_not(None), lambda wanted: [True] if wanted else []
    )


ESCAPE = "/"


def Containing(column: InstrumentedAttribute[Any]) -> Filter:  # noqa: N802
    """The column contains this text, whatever the case."""
    stored(column).info[SEARCHED] = True
    return Filter(
        column,
        lambda found, given: found.icontains(given[0], escape=ESCAPE),
        lambda text: [escaped(text)],
    )


def escaped(text: str) -> str:
    """The text in a pattern of LIKE, where none of its characters stands for others."""
    for special in (ESCAPE, "%", "_"):
        text = text.replace(special, ESCAPE + special)
    return text


@dataclass(frozen=True)
class Shape:
    """What of a query changes its statement, and not only the values in it."""

    sort: str
    filters: tuple[tuple[str, int], ...]
    """Each filter, and how many values it has."""
    part: Part
    skips: bool
    """Whether it starts at an offset."""
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
        self.by_id = {False: self.filtered(by_id, ())}
        if owner is not None:
            self.by_id[True] = self.filtered(by_id, ((OWNER, 1),))
        self.statement = lru_cache(maxsize=SHAPES)(self.build)
        self.counting = lru_cache(maxsize=SHAPES)(self.build_count)

    async def page(
        self, reader: Database | AsyncSession, query: ListQuery, *, only: UUID | None = None
    ) -> Found[Row[Any]]:
        """One page, in the requested order, read without a session if there is none; only the rows of this owner, if one is given."""
        self.require_owner(only)
        keys = service_of(reader).keys
        found = {
            name: each.values(asked)
            for name, each in self.filters.items()
            if (asked := only if name == OWNER else getattr(query, name)) is not None
        }
        filters = tuple((name, len(values)) for name, values in found.items() if values)
        given = {
            parameter: value
            for name, values in found.items()
            for parameter, value in zip(names_of(name, len(values)), values, strict=False)
        }
        place = place_of(query, keys)
        values = {**given, **place}
        terms = ",".join(query.sort_terms().values())  # however the client has put it
        skips = query.offset is not None

        async def read(part: Part, size: int, skip: int) -> Sequence[Row[Any]]:
            usual = size == self.usual + (not skips) and not filters
            shape = Shape(terms, filters, part, skips, query.is_backwards, usual)
            paging = {"limit": size, "offset": skip}
            return await rows_of(reader, self.statement(shape), {**values, **paging})

        async def count(null: bool | None = None) -> int:
            statement = self.counting(filters, terms, null)
            return (await rows_of(reader, statement, given))[0].number

        rows = await read_parts(query, place, read, count)
        return page_of(rows, query, keys[0], await count() if query.with_total else None)

    async def one(
        self, reader: Database | AsyncSession, item_id: UUID, *, only: UUID | None = None
    ) -> Row[Any] | None:
        """The item with this id; only if it belongs to this owner, if one is given."""
        self.require_owner(only)
        owned = {} if only is None else {OWNER: only}
        found = await rows_of(reader, self.by_id[only is not None], {"id": item_id, **owned})
        return found[0] if found else None

    def require_owner(self, only: UUID | None) -> None:
        """Refuse to show all rows where those of one owner are wanted."""
        if only is not None and OWNER not in self.filters:
            raise TypeError(f"give the list of {self.model.__name__} its `owner`")

    def build(self, shape: Shape) -> Select[*tuple[Any, ...]]:
        """The statement of this shape."""
        query = self.query.model_construct(sort=shape.sort)
        query = query.backwards() if shape.backwards else query
        order = order_by(query, reverse=shape.backwards, parted=True)
        statement = self.filtered(select(*self.columns), shape.filters)
        limit = (
            literal_column(str(self.usual + (not shape.skips)), Integer())
            if shape.usual
            else bindparam("limit", type_=Integer())
        )
        statement = statement.where(*conditions(query, shape.part)).order_by(*order).limit(limit)
        if shape.skips:
            statement = statement.offset(bindparam("offset", type_=Integer()))
        return statement

    def build_count(
        self, filters: tuple[tuple[str, int], ...], sort: str, null: bool | None
    ) -> Select[*tuple[Any, ...]]:
        """The statement that counts all items with these filters, in this part of the order."""
        counted = select(func.count(self.model.id).label("number")).select_from(self.model)
        within = conditions(self.query.model_construct(sort=sort), Part(null))
        return self.filtered(counted, filters).where(*within)

    def filtered(
        self, statement: Select[*tuple[Any, ...]], filters: tuple[tuple[str, int], ...]
    ) -> Select[*tuple[Any, ...]]:
        """The statement with these filters."""
        columns = {self.filters[name].column.key for name, _ in filters}
        shown = [] if "deleted_at" in columns else visible(self.model)
        return statement.where(
            *(self.filters[name].where(name, count) for name, count in filters), *shown
        )


async def rows_of(
    reader: Database | AsyncSession, statement: Select[*tuple[Any, ...]], values: Mapping[str, Any]
) -> Sequence[Row[Any]]:
    """The answer to the statement, within the session if there is one."""
    if isinstance(reader, AsyncSession):
        return (await reader.execute(statement, values, execution_options=WITH_DELETED)).all()
    return await reader.rows(statement, values, may_lag=True)
