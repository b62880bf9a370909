"""Pagination: by keyset, which costs the same at any depth, or by offset.

A list is declared by its query class, which lists the sortable columns. A cursor is opaque, signed, and
bound to the list, the order and the filters.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar, cast
from urllib.parse import parse_qsl, quote, urlencode
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PrivateAttr,
    StringConstraints,
    TypeAdapter,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema, to_json
from sqlalchemy import Column, ColumnElement, Select, and_, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from starlette.requests import HTTPConnection
from starlette.types import Scope

from app.core import cursors
from app.core.carriers import partition
from app.core.middleware import add_link
from app.core.queries import Query
from app.core.schemas import Instant
from app.core.service import service_of

Item = TypeVar("Item")

PLACE = "place_"
"""How the parameters in `beyond` begin."""

KEY_TYPES: dict[type, TypeAdapter[Any]] = {
    bool: TypeAdapter(bool),
    int: TypeAdapter(Annotated[int, Field(ge=-(2**63), lt=2**63)]),
    Decimal: TypeAdapter(Decimal),
    str: TypeAdapter(Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]),
    date: TypeAdapter(date),
    datetime: TypeAdapter(Instant),
    UUID: TypeAdapter(UUID),
}
"""What a cursor can hold, by the Python type of the column."""


def stored(attribute: InstrumentedAttribute[Any]) -> Column[Any]:
    """The column behind an attribute."""
    return attribute.property.columns[0]


class SortableBy:
    """The columns that a list can be sorted by, besides the id; part of the type of its `sort`."""

    def __init__(
        self, first: InstrumentedAttribute[Any], *others: InstrumentedAttribute[Any]
    ) -> None:
        last: InstrumentedAttribute[Any] = first.class_.id
        self.columns = {column.key: column for column in [first, *others, last]}
        term = f"-?({'|'.join(self.columns)})"
        self.pattern = f"^{term}(,{term})*$"

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.allowed, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(schema) | {
            "pattern": self.pattern,
            "examples": ["-" + ",".join(list(self.columns)[:2])],
            "description": "Fields to sort by; prefix one with `-` for descending order",
        }

    def names_all(self, sort: object) -> bool:
        """Whether all of these are sortable columns."""
        return isinstance(sort, str) and re.fullmatch(self.pattern, sort) is not None

    def allowed(self, sort: str) -> str:
        """Return `sort`, or raise an error that lists the sortable columns."""
        if not self.names_all(sort):
            names = {"names": ", ".join(self.columns)}
            raise PydanticCustomError(
                "unknown_sort", "Sort by {names}; prefix one with `-` for descending order", names
            )
        return sort

    def complete(self, sort: str) -> dict[str, str]:
        """The terms of the complete order by name: without duplicates, and the id last, to make it total."""
        terms: dict[str, str] = {}
        for term in [*sort.split(","), "-id" if sort.startswith("-") else "id"]:
            terms.setdefault(term.removeprefix("-"), term)
        return terms

    @lru_cache(maxsize=256)  # noqa: B019, it lives as long as the class of its list
    def order(
        self, terms: tuple[tuple[str, str], ...], *, reverse: bool
    ) -> Sequence[ColumnElement[Any]]:
        """These terms as columns; from the end, if reversed."""
        return [
            self.columns[name].asc() if (term == name) is not reverse else self.columns[name].desc()
            for name, term in terms
        ]

    def key_type(self, name: str) -> TypeAdapter[Any]:
        """The type of this column's values in a cursor."""
        return KEY_TYPES[stored(self.columns[name]).type.python_type]

    def faults(self) -> Iterator[str]:
        """Why a list cannot be paged in some of these orders."""
        for name, attribute in self.columns.items():
            column = stored(attribute)
            kind = column.type.python_type
            if attribute.class_ is not self.columns["id"].class_:
                yield f"{name}: {column} is not a column of the listed rows"
            elif column.nullable:
                yield f"{name}: {column} may be NULL, and no page can start after NULL"
            elif kind not in KEY_TYPES:
                yield f"{name}: {column} holds {kind.__name__}, which is not in KEY_TYPES"


class ListQuery(Query):
    """Which part of a list the client requests; each list has a subclass with its own filters."""

    sortable: ClassVar[SortableBy]

    limit: int = Field(20, ge=1, le=100, description="Maximum number of items")
    cursor: str | None = Field(
        None,
        max_length=2000,
        description="`next_cursor` of a page of this list with the same order and filters: the items after it; "
        "cannot be combined with `before` or `offset`",
    )
    before: str | None = Field(
        None, max_length=2000, description="`previous_cursor` of such a page: the items before it"
    )
    offset: int | None = Field(
        None, ge=0, le=10_000, description="Items to skip; cannot be combined with a cursor"
    )
    sort: str
    with_total: bool = Field(False, description="Also count all items")
    _backwards: bool = PrivateAttr(default=False)
    _scope: Scope | None = PrivateAttr(default=None)

    def backwards(self) -> Self:
        """The same list from its end, or before `cursor`; the order of a page's items stays."""
        copy = self.model_copy()
        copy._backwards = True
        return copy

    @property
    def is_backwards(self) -> bool:
        """Whether the list is read from its end, or from a place to its beginning."""
        return self._backwards or self.before is not None

    @property
    def place(self) -> str | None:
        """The cursor that the page begins at, or ends at if the list is read backwards."""
        return self.before if self.cursor is None else self.cursor

    @classmethod
    async def requested(cls, connection: HTTPConnection) -> Self:
        """What the client requests; the response will have links to the pages beside this one."""
        query = await super().requested(connection)
        query._scope = connection.scope
        return query

    def link(self, found: "Found[Any]") -> None:
        """Give the response links (RFC 8288) to the pages beside this one."""
        scope = self._scope
        if scope is None:
            return
        given = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        kept = [each for each in given if each[0] not in {"cursor", "before"}]
        beside = {"next": ("cursor", found.next_cursor), "prev": ("before", found.previous_cursor)}
        links = [
            f'<{quote(scope["path"])}?{urlencode([*kept, place])}>; rel="{relation}"'
            for relation, place in beside.items()
            if place[1]
        ]
        if links:
            add_link(scope, ", ".join(links))

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: object) -> None:
        """Refuse a list that cannot be paged when it is declared, not at its first request."""
        super().__pydantic_init_subclass__(**kwargs)
        sort = cls.model_fields["sort"]
        declared = [item for item in sort.metadata if isinstance(item, SortableBy)]
        if not declared or not declared[0].names_all(sort.default):
            raise TypeError(
                f"{cls.__name__} needs `sort: Annotated[str, SortableBy(...)]` with one of these "
                "orders as its default."
            )
        if faults := list(declared[0].faults()):
            raise TypeError(f"{cls.__name__} cannot be sorted by {'; '.join(faults)}.")
        cls.sortable = declared[0]

    @model_validator(mode="after")
    def one_way(self) -> Self:
        """They contradict each other."""
        if sum(each is not None for each in (self.cursor, self.before, self.offset)) > 1:
            raise ValueError("give one of cursor, before and offset")
        return self

    def sort_terms(self) -> dict[str, str]:
        """The terms of the requested order, by name."""
        return self.sortable.complete(self.sort)

    def fingerprint(self) -> str:
        """What a cursor is bound to: list, order and filters."""
        filters = self.model_dump_json(exclude=NO_FILTERS)
        return fingerprint_of(type(self), self.sort, filters, *partition())


NO_FILTERS = set(ListQuery.model_fields)


@lru_cache(maxsize=1024)
def fingerprint_of(kind: type[ListQuery], sort: str, *parts: str) -> str:
    """A digest of these."""
    terms = list(kind.sortable.complete(sort).values())
    name = f"{kind.__module__}.{kind.__qualname__}"
    return hashlib.sha256(to_json([name, terms, parts])).hexdigest()[:16]


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    model_config = ConfigDict(from_attributes=True)

    items: list[Item]
    next_cursor: str | None = Field(None, description="Cursor of the next page; null on the last")
    previous_cursor: str | None = Field(
        None, description="For `before`: the page before this one; null on the first"
    )
    total: int | None = Field(None, description="Number of all items, if requested")


@dataclass(frozen=True, slots=True)
class Found(Generic[Item]):
    """The result of a list query, to be returned as a `Page`."""

    items: Sequence[Item]
    next_cursor: str | None
    total: int | None
    has_previous: bool = False
    cursor_of: Callable[[int], str] | None = None
    """The cursor of the item at an index, unless the page was found by offset."""

    @property
    def previous_cursor(self) -> str | None:
        """The cursor of the first item, if there are items before it."""
        return self.cursor_of(0) if self.cursor_of and self.has_previous and self.items else None


async def paginate(session: AsyncSession, statement: Select[Item], query: ListQuery) -> Found[Item]:
    """One page of `statement`, which selects objects of the ORM, in the requested order."""
    statement = statement.order_by(None)
    keys = service_of(session).keys
    if query.offset is not None:
        part = statement.order_by(*order_by(query)).limit(query.limit).offset(query.offset)
        rows = (await session.scalars(part)).all()
        return Found(rows, None, await count(session, statement, query))
    part = statement.order_by(*order_by(query, reverse=query.is_backwards)).limit(query.limit + 1)
    if query.place is not None:
        part = part.where(beyond(query))
    place = place_of(query, keys) if query.place is not None else {}
    rows = (await session.scalars(part, place)).all()
    total = await count(session, statement, query)
    return page_of(rows, query, keys[0], total)


def page_of(rows: Sequence[Item], query: ListQuery, key: str, total: int | None) -> Found[Item]:
    """A page of these rows, which are in the order in which they were read, and one more if there is one."""
    items, more, began = [*rows[: query.limit]], len(rows) > query.limit, query.place is not None
    if query.is_backwards:
        items.reverse()

    def cursor_of(index: int) -> str:
        place = [getattr(items[index], name) for name in query.sort_terms()]
        return cursors.sign(query.fingerprint(), place, key)

    has_next, has_previous = (began, more) if query.is_backwards else (more, began)
    end = cursor_of(-1) if has_next and items else query.place
    found = Found(items, end if has_next else None, total, has_previous, cursor_of)
    query.link(found)
    return found


def order_by(query: ListQuery, *, reverse: bool = False) -> Sequence[ColumnElement[Any]]:
    """`-price,name` as columns; from the end, if reversed."""
    return query.sortable.order(tuple(query.sort_terms().items()), reverse=reverse)


def beyond(query: ListQuery) -> ColumnElement[bool]:
    """The condition of the rows after a `place_of`, or before it if the list is read backwards.

    Each column but the last one bounds those after it, so that an index is entered at the place: databases differ in
    whether they do so for a comparison of rows, which could not express orders of mixed directions either.
    """
    condition: ColumnElement[bool] | None = None
    for name, term in reversed(query.sort_terms().items()):
        column = query.sortable.columns[name]
        bound = bindparam(PLACE + name, type_=column.type)
        ascending = (term == name) is not query.is_backwards
        further = column > bound if ascending else column < bound
        if condition is None:
            condition = further
        else:
            reached = column >= bound if ascending else column <= bound
            condition = and_(reached, or_(further, condition))
    return cast("ColumnElement[bool]", condition)


def place_of(query: ListQuery, keys: Sequence[str]) -> dict[str, Any]:
    """Where the cursor points to, as values of the parameters in `beyond`."""
    types = [query.sortable.key_type(name) for name in query.sort_terms()]
    place = cursors.unsign(query.place or "", query.fingerprint(), types, keys)
    return {PLACE + name: value for name, value in zip(query.sort_terms(), place, strict=True)}


async def count(session: AsyncSession, statement: Select[Any], query: ListQuery) -> int | None:
    """The number of all items, if the client requests it."""
    if not query.with_total:
        return None
    return await session.scalar(select(func.count()).select_from(statement.subquery()))
