"""Checks of the service's dependencies."""

import asyncio

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import migrations
from app.core.db.errors import DatabaseUnavailable, NotMigrated
from app.core.db.session import Database, probe
from app.core.errors import Unavailable
from app.core.jobs import Queue
from app.features.health.schemas import Ready

log = structlog.stdlib.get_logger(__name__)


class NotReady(Unavailable):
    """A dependency is unavailable; send no requests here for now."""


async def readiness(database: Database, queue: Queue) -> Ready:
    """Check each dependency; raise `NotReady`, which names them all, when one fails."""
    state, others = await asyncio.gather(check_database(database), queue.check())
    checks = {"database": state, **others}
    if any(result != "ok" for result in checks.values()):
        raise NotReady("The service cannot do its work at the moment.", checks=checks)
    return Ready(checks=checks)


async def check_database(database: Database) -> str:
    """The database responds in time, is writable, and has every migration that this code needs."""

    async def look(session: AsyncSession) -> None:
        if not await migrations.is_current(session):
            raise NotMigrated
        await (await session.connection()).run_sync(database.dialect.demand_writable)

    try:
        await probe(database, look)
    except DatabaseUnavailable as error:
        log.warning("not_ready", error=str(error))
        return error.state
    return "ok"
