"""Lists, a page at a time: by keyset, which costs the same at any depth, or by offset.

A cursor is opaque, signed and bound to the list that it came from.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlakeyset import InvalidPage, unserialize_bookmark
from sqlakeyset.asyncio import select_page
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.core import (
    errors,
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenancy,
    # {% endif %}
)

Item = TypeVar("Item")

VERSION = 1
SIGNATURE_BYTES = 16
KEYS = "signing_keys"

Sortable = Mapping[str, InstrumentedAttribute[Any]]


class InvalidCursor(errors.Unprocessable):
    """The cursor is not one of ours, or belongs to another list."""

    def __init__(self) -> None:
        super().__init__("The cursor is not valid for this list. Begin again without one.")


class UnknownSort(errors.Unprocessable):
    """The list cannot be sorted by this."""

    def __init__(self, name: str, sortable: Sortable) -> None:
        super().__init__(f"Cannot sort by {name!r}. Possible: {', '.join(sorted(sortable))}.")


class ListQuery(BaseModel):
    """Which part of a list the client asks for; a list's own filters are added in subclasses."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(20, ge=1, le=100, description="How many items at most")
    cursor: str | None = Field(None, max_length=2000, description="`next_cursor` of a page before")
    offset: int | None = Field(None, ge=0, le=10_000, description="How many items to skip")
    sort: str | None = Field(
        None, max_length=200, examples=["-created_at"], description="Fields, `-` for descending"
    )
    with_total: bool = Field(False, description="Count all items too")

    @model_validator(mode="after")
    def one_way(self) -> Self:
        """A cursor and an offset contradict each other."""
        if self.cursor is not None and self.offset is not None:
            raise ValueError("give a cursor or an offset, not both")
        return self

    def fingerprint(self) -> str:
        """What a cursor is bound to: sort order and filters."""
        rest = self.model_dump(mode="json", exclude={"limit", "cursor", "offset", "with_total"})
        parts = [
            # {% if cookiecutter.multi_tenancy == "row" %}
            tenancy.label(),
            # {% endif %}
            rest,
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    model_config = ConfigDict(from_attributes=True)

    items: list[Item]
    next_cursor: str | None = Field(None, description="For the page after; none on the last")
    total: int | None = Field(None, description="Only when asked for")


@dataclass(frozen=True, slots=True)
class Found(Generic[Item]):
    """What a list query found, to be shown as a `Page`."""

    items: Sequence[Item]
    next_cursor: str | None
    total: int | None


async def paginate(
    session: AsyncSession,
    statement: Select[Item],
    query: ListQuery,
    *,
    sortable: Sortable,
    default: str,
) -> Found[Item]:
    """One page of `statement`; `sortable` must contain `id`, which makes every order total."""
    keys: list[str] = session.info[KEYS]
    ordered = statement.order_by(*order(query.sort or default, sortable))
    if query.offset is not None:
        rows = (await session.scalars(ordered.limit(query.limit).offset(query.offset))).all()
        return Found(rows, None, await count(session, statement, query))
    try:
        bookmark = unserialize_bookmark(unsign(query, keys)) if query.cursor is not None else None
        page: Any = await select_page(
            session, cast("Select[Any]", ordered), per_page=query.limit, page=bookmark
        )
    except InvalidPage:
        raise InvalidCursor from None
    more = page.paging.bookmark_next if page.paging.has_next else None
    return Found(
        [row[0] for row in page],
        sign(query, more, keys[0]) if more else None,
        await count(session, statement, query),
    )


def order(sort: str, sortable: Sortable) -> list[Any]:
    """`-price,name` as columns, and the id at the end."""
    columns: list[Any] = []
    for name in sort.split(","):
        column = sortable.get(name.removeprefix("-"))
        if column is None:
            raise UnknownSort(name, sortable)
        columns.append(column.desc() if name.startswith("-") else column.asc())
    last = sortable["id"]
    return [*columns, last.desc() if sort.startswith("-") else last.asc()]


async def count(session: AsyncSession, statement: Select[Any], query: ListQuery) -> int | None:
    """How many there are altogether, when the client wants to know."""
    if not query.with_total:
        return None
    return await session.scalar(select(func.count()).select_from(statement.subquery()))


def sign(query: ListQuery, bookmark: str, key: str) -> str:
    """The cursor that leads to `bookmark`."""
    body = json.dumps([VERSION, query.fingerprint(), bookmark]).encode()
    return base64.urlsafe_b64encode(signature(body, key) + body).decode().rstrip("=")


def unsign(query: ListQuery, keys: Sequence[str]) -> str:
    """The bookmark in the query's cursor, if it is one of ours and belongs to this list."""
    cursor = query.cursor or ""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError):
        raise InvalidCursor from None
    given, body = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:]
    if not any(hmac.compare_digest(given, signature(body, key)) for key in keys):
        raise InvalidCursor
    version, fingerprint, bookmark = json.loads(body)
    if (version, fingerprint) != (VERSION, query.fingerprint()):
        raise InvalidCursor
    return bookmark


def signature(body: bytes, key: str) -> bytes:
    """Proof that the cursor is ours."""
    return hmac.digest(key.encode(), b"cursor:" + body, "sha256")[:SIGNATURE_BYTES]
