"""Pagination: by keyset, which costs the same at any depth, or by offset.

A list is declared by its query class, which lists the sortable columns. A cursor is opaque, signed, and
bound to the list, the order and the filters.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar, cast
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
from sqlakeyset.asyncio import select_page
from sqlalchemy import Column, ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.core.carriers import partition
from app.core.errors import Unprocessable
from app.core.schemas import Instant
from app.core.service import service_of

Item = TypeVar("Item")

VERSION = 2
SIGNATURE_BYTES = 16

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

CURSOR: TypeAdapter[tuple[int, str, list[Any]]] = TypeAdapter(tuple[int, str, list[Any]])
"""Version, fingerprint of the query, and where the previous page ended."""


class InvalidCursor(Unprocessable):
    """The cursor is not one of ours, or belongs to another list."""

    def __init__(self) -> None:
        super().__init__("The cursor is not valid for this list. Start again without one.")


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

    def key_type(self, name: str) -> TypeAdapter[Any]:
        """The type of this column's values in a cursor."""
        return KEY_TYPES[stored(self.columns[name]).type.python_type]

    def faults(self) -> Iterator[str]:
        """Why a list cannot be paged in some of these orders."""
        for name, attribute in self.columns.items():
            column = stored(attribute)
            kind = column.type.python_type
            if column.nullable:
                yield f"{name}: {column} may be NULL, and no page can start after NULL"
            elif kind not in KEY_TYPES:
                yield f"{name}: {column} holds {kind.__name__}, which is not in KEY_TYPES"


class ListQuery(BaseModel):
    """Which part of a list the client requests; each list has a subclass with its own filters."""

    model_config = ConfigDict(extra="forbid")
    sortable: ClassVar[SortableBy]

    limit: int = Field(20, ge=1, le=100, description="Maximum number of items")
    cursor: str | None = Field(
        None,
        max_length=2000,
        description="`next_cursor` of a page of this list with the same order and filters; "
        "cannot be combined with `offset`",
    )
    offset: int | None = Field(
        None, ge=0, le=10_000, description="Items to skip; cannot be combined with `cursor`"
    )
    sort: str
    with_total: bool = Field(False, description="Also count all items")
    _backwards: bool = PrivateAttr(default=False)

    def backwards(self) -> Self:
        """The same list from its end, or before `cursor`; the order of a page's items stays."""
        copy = self.model_copy()
        copy._backwards = True
        return copy

    @property
    def is_backwards(self) -> bool:
        """Whether the list is read from its end."""
        return self._backwards

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
        """A cursor and an offset contradict each other."""
        if self.cursor is not None and self.offset is not None:
            raise ValueError("give a cursor or an offset, not both")
        return self

    def sort_terms(self) -> dict[str, str]:
        """The terms of the requested order, by name."""
        return self.sortable.complete(self.sort)

    def fingerprint(self) -> str:
        """What a cursor is bound to: list, order and filters."""
        parts = [
            *partition(),
            f"{type(self).__module__}.{type(self).__qualname__}",
            list(self.sort_terms().values()),
            self.model_dump(mode="json", exclude=set(ListQuery.model_fields)),
        ]
        return hashlib.sha256(to_json(parts)).hexdigest()[:16]


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    model_config = ConfigDict(from_attributes=True)

    items: list[Item]
    next_cursor: str | None = Field(None, description="Cursor of the next page; null on the last")
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


async def paginate(session: AsyncSession, statement: Select[Item], query: ListQuery) -> Found[Item]:
    """One page of `statement`, in the requested order."""
    keys = service_of(session).keys
    ordered = statement.order_by(*order_by(query))
    if query.offset is not None:
        rows = (await session.scalars(ordered.limit(query.limit).offset(query.offset))).all()
        return Found(rows, None, await count(session, statement, query))
    place = unsign(query, keys) if query.cursor is not None else None
    start: Any = (place, query.is_backwards)
    page: Any = await select_page(
        session, cast("Select[Any]", ordered), per_page=query.limit, page=start
    )
    paging = page.paging
    return Found(
        [row[0] for row in page],
        sign(query, paging.next.place, keys[0]) if paging.has_next else None,
        await count(session, statement, query),
        paging.has_previous,
        lambda index: sign(query, paging.get_marker_at(index).place, keys[0]),
    )


def order_by(query: ListQuery, *, reverse: bool = False) -> list[ColumnElement[Any]]:
    """`-price,name` as columns; from the end, if reversed."""
    columns = query.sortable.columns
    return [
        columns[name].asc() if (term == name) is not reverse else columns[name].desc()
        for name, term in query.sort_terms().items()
    ]


async def count(session: AsyncSession, statement: Select[Any], query: ListQuery) -> int | None:
    """The number of all items, if the client requests it."""
    if not query.with_total:
        return None
    return await session.scalar(select(func.count()).select_from(statement.subquery()))


def sign(query: ListQuery, place: Sequence[Any], key: str) -> str:
    """The cursor for the page after `place`."""
    body = to_json([VERSION, query.fingerprint(), place])
    return base64.urlsafe_b64encode(signature(body, key) + body).decode().rstrip("=")


def unsign(query: ListQuery, keys: Sequence[str]) -> tuple[Any, ...]:
    """Where the previous page ended, if the cursor is one of ours and matches the query."""
    cursor = query.cursor or ""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        given, body = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:]
        if not any(hmac.compare_digest(given, signature(body, key)) for key in keys):
            raise InvalidCursor
        version, fingerprint, place = CURSOR.validate_json(body)
        if (version, fingerprint) != (VERSION, query.fingerprint()):
            raise InvalidCursor
        types = [query.sortable.key_type(name) for name in query.sort_terms()]
        return tuple(kind.validate_python(key) for kind, key in zip(types, place, strict=True))
    except ValueError:
        raise InvalidCursor from None


def signature(body: bytes, key: str) -> bytes:
    """Proof that the cursor is ours."""
    return hmac.digest(key.encode(), b"cursor:" + body, "sha256")[:SIGNATURE_BYTES]
