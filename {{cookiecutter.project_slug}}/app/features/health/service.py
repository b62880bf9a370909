"""What must work before the service can."""

import structlog

from app.core.db import migrations
from app.core.db.session import Database, reading
from app.core.errors import Unavailable
from app.core.jobs import Queue
from app.features.health.schemas import Ready

log = structlog.stdlib.get_logger(__name__)


class NotReady(Unavailable):
    """A dependency is away; send no requests here for now."""


async def readiness(database: Database, queue: Queue) -> Ready:
    """Check each dependency; raise `NotReady`, which names them all, when one fails."""
    checks = {"database": await check_database(database), **await queue.check()}
    if any(result != "ok" for result in checks.values()):
        raise NotReady("The service cannot do its work at the moment.", checks=checks)
    return Ready(checks=checks)


async def check_database(database: Database) -> str:
    """The database answers, and has every migration that this code needs."""
    try:
        async with reading(database) as session:
            revision = await migrations.current(session)
    except Unavailable as error:
        log.warning("not_ready", error=str(error))
        return "unreachable"
    return "ok" if revision == migrations.head() else "not migrated: run `app db upgrade`"
