"""Reading for many parents at once."""

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.orm.interfaces import ORMOption

from app.core.db.base import Base
from app.core.pagination import Found, ListQuery, order_by, page_of, paginate
from app.core.service import service_of
from app.features.graphql.failures import OneList


async def rows_by(
    session: AsyncSession,
    column: InstrumentedAttribute[Any],
    values: Sequence[UUID | str],
    *options: ORMOption,
) -> list[Any]:
    """For each value the row that has it in this unique column, or `None`."""
    kind = cast("type[Base]", column.class_)
    statement = select(kind).where(column.in_(values)).options(*options)
    found = {getattr(row, column.key): row for row in await session.scalars(statement)}
    return [found.get(value) for value in values]


async def pages_of(
    session: AsyncSession,
    parent: InstrumentedAttribute[Any],
    parents: Sequence[UUID],
    query: ListQuery,
    *options: ORMOption,
) -> list[Found[Any]]:
    """A page of the rows of each parent, with the same number of statements for one as for many."""
    if not parents:
        return []
    if query.cursor is None:
        return await first_pages(session, parent, parents, query, *options)
    if len(parents) > 1:
        raise OneList
    statement = select(parent.class_).where(parent.in_(parents)).options(*options)
    return [await paginate(session, statement, query)]


async def first_pages(
    session: AsyncSession,
    parent: InstrumentedAttribute[Any],
    parents: Sequence[UUID],
    query: ListQuery,
    *options: ORMOption,
) -> list[Found[Any]]:
    """For each parent the first page of its rows, or the last one, in one statement for all."""
    kind = cast("type[Base]", parent.class_)
    order = order_by(query, reverse=query.is_backwards)
    numbered = (
        select(kind.id, func.row_number().over(partition_by=parent, order_by=order).label("number"))
        .where(parent.in_(parents))
        .subquery()
    )
    statement = (
        select(kind)
        .join(numbered, numbered.c.id == kind.id)
        .where(numbered.c.number <= query.limit + 1)
        .order_by(numbered.c.number)
        .options(*options)
    )
    found: dict[UUID, list[Any]] = {each: [] for each in parents}
    for row in await session.scalars(statement):
        found[getattr(row, parent.key)].append(row)
    totals = await counted(session, parent, parents) if query.with_total else {}
    key = service_of(session).keys[0]
    return [
        page_of(found[each], query, key, totals.get(each, 0) if query.with_total else None)
        for each in parents
    ]


async def counted(
    session: AsyncSession, parent: InstrumentedAttribute[Any], parents: Sequence[UUID]
) -> dict[UUID, int]:
    """How many rows each parent has."""
    statement = select(parent, func.count()).where(parent.in_(parents)).group_by(parent)
    return {row[0]: row[1] for row in await session.execute(statement)}
