"""Reading for many parents at once."""

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.orm.interfaces import ORMOption

from app.core.db.base import Base


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
