"""Deleting what has been kept long enough, in batches that no one waits for."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import Base
from app.core.db.dialects import dialect_of

BATCH = 1000


async def purge(session: AsyncSession, model: type[Base], condition: ColumnElement[bool]) -> bool:
    """Delete at most `BATCH` rows, their own parts included; whether there may be more."""
    found = select(model.id).where(condition).limit(BATCH)
    ids = (await session.scalars(found)).all()
    if ids:
        await session.execute(delete(model).where(model.id.in_(ids)))
    return len(ids) == BATCH


@asynccontextmanager
async def purging(session: AsyncSession, role: str) -> AsyncGenerator[None]:
    """Within this, rows of append-only tables may be deleted; `role` is the service's."""
    connection = await session.connection()
    dialect = dialect_of(connection.engine.url)
    await connection.run_sync(dialect.begin_purge, role)
    try:
        yield
    except BaseException:
        # Where a transaction that failed takes no more statements, its rollback does the same.
        with suppress(SQLAlchemyError):
            await connection.run_sync(dialect.end_purge, role)
        raise
    await connection.run_sync(dialect.end_purge, role)
