"""Deleting rows after their retention period, in short batches."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.archive import Archive
from app.core.db.base import APPEND_ONLY, Base, utc_now
from app.core.db.deletion import WITH_DELETED
from app.core.db.dialects.access import KEPT
from app.core.jobs import GiveUp

BATCH = 1000
CLOCKS_DIFFER = timedelta(hours=1)


def kept_for(model: type[Base], days: int) -> ColumnElement[bool]:
    """Rows that have been kept for this many days, by the database's clock too."""
    return model.created_at < utc_now() - timedelta(days=days) - CLOCKS_DIFFER


async def purge(
    session: AsyncSession,
    model: type[Base],
    condition: ColumnElement[bool],
    archive: Archive | None = None,
) -> bool:
    """Delete at most `BATCH` rows, with dependent ones; returns whether there may be more.

    With an archive, they are stored there first.
    """
    found = select(model.id).where(condition).limit(BATCH)
    ids = (await session.scalars(found, execution_options=WITH_DELETED)).all()
    if ids and archive:
        rows = await claimed(session, model, and_(model.id.in_(ids), condition))
        if rows:
            async with archive.holding(model.__tablename__, rows):
                await remove(session, model, [row["id"] for row in rows])
    elif ids:
        await remove(session, model, ids)
    return len(ids) == BATCH


async def claimed(
    session: AsyncSession, model: type[Base], condition: ColumnElement[bool]
) -> Sequence[dict[str, Any]]:
    """These rows, as they are until they are deleted: locked, unless no row of this kind ever changes."""
    found = select(*(getattr(model, each.key) for each in model.__mapper__.column_attrs))
    found = found.where(condition)
    if not kept_by(model):
        found = found.with_for_update()
    rows = await session.execute(found, execution_options=WITH_DELETED)
    return [{**row} for row in rows.mappings()]


async def remove(session: AsyncSession, model: type[Base], ids: Sequence[UUID]) -> None:
    """Delete these rows."""
    statement = delete(model).where(model.id.in_(ids))
    try:
        await session.execute(statement, execution_options=WITH_DELETED)
    except DBAPIError as error:
        setting = kept_by(model)
        if setting and any(word in str(error.orig) for word in (KEPT, "denied")):
            raise GiveUp(
                f"the database keeps rows of {model.__tablename__} for longer than {setting}"
                " says: run `app db upgrade`"
            ) from error
        raise


def kept_by(model: type[Base]) -> str | None:
    """The setting for how long rows of an append-only table are kept."""
    return model.metadata.tables[model.__tablename__].info.get(APPEND_ONLY)
