"""Pagination: by keyset, which costs the same at any depth, or by offset.

A list is declared by its query class, which lists the sortable columns. A cursor is opaque, signed, and
bound to the list, the order and the filters.
"""

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Generic, Self, TypeVar, cast
from urllib.parse import parse_qsl, quote, urlencode

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import to_json
from sqlalchemy import ColumnElement, Select, and_, bindparam, false, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection
from starlette.types import Scope

from app.core import cursors
from app.core.carriers import partition
from app.core.middleware import add_link
from app.core.queries import Query
from app.core.service import service_of
from app.core.sorting import SortableBy

Item = TypeVar("Item")

PLACE = "place_"
"""How the parameters in `beyond` begin."""


class ListQuery(Query):
    """Which part of a list the client requests; each list has a subclass with its own filters."""

    sortable: ClassVar[SortableBy]

    limit: int = Field(20, ge=1, le=100, description="Maximum number of items")
    cursor: str | None = Field(
        None,
        max_length=2000,
        description="`next_cursor` of a page in the same order and with the same filters: the items after it; "
        "cannot be combined with `before` or `offset`",
    )
    before: str | None = Field(
        None, max_length=2000, description="`previous_cursor` of such a page: the items before it"
    )
    offset: int | None = Field(
        None, ge=0, le=10_000, description="Items to skip; cannot be combined with a cursor"
    )
    sort: str
    with_total: bool = Field(False, description="Also return the total number of items")

    def backwards(self) -> Self:
        """The same list from its end, or before `cursor`; the order of a page's items stays."""
        return self.model_copy(update={"is_backwards": True})

    @cached_property
    def is_backwards(self) -> bool:
        """Whether the list is read from its end, or from a place to its beginning."""
        return self.before is not None

    @property
    def place(self) -> str | None:
        """The cursor that the page begins at, or ends at if the list is read backwards."""
        return self.before if self.cursor is None else self.cursor

    @classmethod
    async def requested(cls, connection: HTTPConnection) -> Self:
        """What the client requests; the response will have links to the pages beside this one."""
        query = await super().requested(connection)
        vars(query)[SCOPE] = connection.scope
        return query

    def link(self, found: "Found[Any]") -> None:
        """Give the response links (RFC 8288) to the pages beside this one."""
        scope: Scope | None = vars(self).get(SCOPE)
        if scope is None:
            return
        kept = without_place if len(scope["query_string"]) < SHORT else without_place.__wrapped__
        here = kept(scope["path"], scope["query_string"])
        beside = {'cursor={}>; rel="next"': found.next_cursor}
        beside['before={}>; rel="prev"'] = found.previous_cursor
        links = [here + link.format(quote(at, safe="")) for link, at in beside.items() if at]
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
        """The terms of the requested order, by name; not to be changed."""
        return self.sortable.complete(self.sort)

    def fingerprint(self) -> str:
        """What a cursor is bound to: list, order and filters."""
        filters = self.model_dump_json(exclude=NO_FILTERS)
        sort = ",".join(self.sort_terms().values())  # however the client has put it
        return fingerprint_of(type(self), sort, filters, *partition())


SCOPE = "request.scope"
"""Where a query keeps the request's: no field has this name, and a private attribute of pydantic's costs several times as much."""
NO_FILTERS = set(ListQuery.model_fields)
SHORT = 500
"""The length of a URL's query from which on it is not kept, as clients choose it."""


@lru_cache(maxsize=128)
def without_place(path: str, query_string: bytes) -> str:
    """The beginning of a link to another page of this list, up to its place."""
    given = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)
    kept = urlencode([each for each in given if each[0] not in {"cursor", "before"}])
    return f"<{quote(path)}?{kept}{'&' if kept else ''}"


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
    next_cursor: str | None = Field(None, description="Cursor for the next page; null on the last")
    previous_cursor: str | None = Field(
        None, description="For `before`: cursor for the previous page; null on the first"
    )
    total: int | None = Field(None, description="Total number of items, if requested")


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
    place = place_of(query, keys)
    order = order_by(query, reverse=query.is_backwards, parted=True)

    async def read(part: Part, size: int, skip: int) -> Sequence[Item]:
        found = statement.where(*conditions(query, part)).order_by(*order).limit(size)
        return (await session.scalars(found.offset(skip) if skip else found, place)).all()

    async def count(null: bool | None = None) -> int:
        counted = statement.where(*conditions(query, Part(null))).subquery()
        return await session.scalar(select(func.count()).select_from(counted)) or 0

    rows = await read_parts(query, place, read, count)
    return page_of(rows, query, keys[0], await count() if query.with_total else None)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a list that is one range of an index, as no database reads values and NULL of a column as one."""

    null: bool | None = None
    """Whether the first column of the order is NULL there; `None` if it never is, and the part is the whole list."""
    placed: bool = False
    """Whether the part begins at a `place_of`."""
    nulls: tuple[str, ...] = ()
    """The columns that are NULL at that place."""


def parts_of(query: ListQuery, place: Mapping[str, Any]) -> list[Part]:
    """The parts of the list from this place on, as they are read; NULL is greater than every value."""
    name, term = next(iter(query.sort_terms().items()))
    nulls = tuple(each.removeprefix(PLACE) for each, value in place.items() if value is None)
    if not query.sortable.may_be_null(name):
        return [Part(None, bool(place), nulls)]
    both = [False, True] if (term == name) is not query.is_backwards else [True, False]
    if not place:
        return [Part(null) for null in both]
    begun, *others = both[both.index(name in nulls) :]
    return [Part(begun, True, nulls), *map(Part, others)]


async def read_parts(
    query: ListQuery,
    place: Mapping[str, Any],
    read: Callable[[Part, int, int], Awaitable[Sequence[Item]]],
    count: Callable[[bool | None], Awaitable[int]],
) -> Sequence[Item]:
    """The rows of a page, and one more if there is one; `read` takes the part, and how many rows to read and to skip."""
    first, *others = parts_of(query, place)
    left, skip = query.limit + (query.offset is None), query.offset or 0
    rows = await read(first, left, skip)
    for part in others:
        if len(rows) == left:
            break
        if skip:
            skip = 0 if rows else max(0, skip - await count(first.null))
        rows = [*rows, *await read(part, left - len(rows), skip)]
    return rows


def page_of(rows: Sequence[Item], query: ListQuery, key: str, total: int | None) -> Found[Item]:
    """A page of these rows, which are in the order in which they were read, and one more if there is one."""
    items, more, began = [*rows[: query.limit]], len(rows) > query.limit, query.place is not None
    if query.offset is not None:
        return Found(rows, None, total)
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


def order_by(
    query: ListQuery, *, reverse: bool = False, parted: bool = False
) -> Sequence[ColumnElement[Any]]:
    """`-price,name` as columns; from the end, if reversed."""
    return query.sortable.order(tuple(query.sort_terms().items()), reverse=reverse, parted=parted)


def conditions(query: ListQuery, part: Part) -> Iterator[ColumnElement[bool]]:
    """The conditions of the rows of this part."""
    if part.null is not None:
        first = query.sortable.columns[next(iter(query.sort_terms()))]
        # Not `IS NULL`, beside which some databases sort rows that an index has in order.
        yield first.is_not_distinct_from(None) if part.null else first.is_not(None)
    if part.placed:
        yield beyond(query, part)


def beyond(query: ListQuery, part: Part) -> ColumnElement[bool]:
    """The condition of the rows of a part after a `place_of`, or before it if the list is read backwards.

    Each column but the last one bounds those after it, so that an index is entered at the place: databases differ in
    whether they do so for a comparison of rows, which could not express orders of mixed directions either.
    """
    condition: ColumnElement[bool] | None = None
    terms = query.sort_terms()
    for name, term in reversed(terms.items()):
        column = query.sortable.columns[name]
        bound = bindparam(PLACE + name, type_=column.type)
        ascending = (term == name) is not query.is_backwards
        further = column > bound if ascending else column < bound
        reached = column >= bound if ascending else column <= bound
        apart = part.null is not None and name == next(iter(terms))
        if name in part.nulls:
            further = false() if ascending or apart else column.is_not(None)
            reached = column.is_(None) if ascending and not apart else true()
        elif ascending and not apart and query.sortable.may_be_null(name):
            further, reached = (or_(each, column.is_(None)) for each in (further, reached))
        condition = further if condition is None else and_(reached, or_(further, condition))
    return cast("ColumnElement[bool]", condition)


def place_of(query: ListQuery, keys: Sequence[str]) -> dict[str, Any]:
    """Where the cursor points to, as values of the parameters in `beyond`; nothing without a cursor."""
    if query.place is None:
        return {}
    types = [query.sortable.key_type(name) for name in query.sort_terms()]
    place = cursors.unsign(query.place, query.fingerprint(), types, keys)
    return {PLACE + name: value for name, value in zip(query.sort_terms(), place, strict=True)}
