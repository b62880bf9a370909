"""Deleting rows after their retention period, in short batches."""

from datetime import timedelta

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import APPEND_ONLY, Base, utc_now
from app.core.db.deletion import WITH_DELETED
from app.core.db.dialects.access import KEPT
from app.core.jobs import GiveUp

BATCH = 1000
CLOCKS_DIFFER = timedelta(hours=1)


def kept_for(model: type[Base], days: int) -> ColumnElement[bool]:
    """Rows that have been kept for this many days, by the database's clock too."""
    return model.created_at < utc_now() - timedelta(days=days) - CLOCKS_DIFFER


async def purge(session: AsyncSession, model: type[Base], condition: ColumnElement[bool]) -> bool:
    """Delete at most `BATCH` rows, with dependent ones; returns whether there may be more."""
    found = select(model.id).where(condition).limit(BATCH)
    ids = (await session.scalars(found, execution_options=WITH_DELETED)).all()
    if ids:
        try:
            await session.execute(
                delete(model).where(model.id.in_(ids)), execution_options=WITH_DELETED
            )
        except DBAPIError as error:
            setting = model.metadata.tables[model.__tablename__].info.get(APPEND_ONLY)
            if setting and any(word in str(error.orig) for word in (KEPT, "denied")):
                raise GiveUp(
                    f"the database keeps rows of {model.__tablename__} for longer than {setting}"
                    " says: run `app db upgrade`"
                ) from error
            raise
    return len(ids) == BATCH
