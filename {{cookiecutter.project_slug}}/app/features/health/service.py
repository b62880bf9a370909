"""Checks of the service's dependencies."""

import asyncio
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import migrations
from app.core.db.errors import DatabaseUnavailable, NotMigrated
from app.core.db.session import PROBE_SECONDS, Database, probe
from app.core.errors import Unavailable
from app.core.resources import Resource
from app.core.service import Service
from app.features.health.schemas import Ready

log = structlog.stdlib.get_logger(__name__)


USABLE = ("ok", "degraded")
"""How the words for what still does its work begin."""


class NotReady(Unavailable):
    """A dependency is unavailable; send no requests here for now."""


async def readiness(service: Service) -> Ready:
    """Check each dependency; raise `NotReady`, which names them all, when one fails."""
    resources = [each for each in service.opened if each.check]
    state, others, answers = await asyncio.gather(
        check_database(service.database),
        service.queue.check(),
        asyncio.gather(*(check_resource(service, each) for each in resources)),
    )
    found = {each.name: answer for each, answer in zip(resources, answers, strict=True) if answer}
    checks = {"database": state, **others, **found}
    if not all(result.startswith(USABLE) for result in checks.values()):
        raise NotReady("The service cannot do its work at the moment.", checks=checks)
    return Ready(checks=checks)


async def check_resource(service: Service, resource: Resource[Any]) -> str | None:
    """What the feature says of it, soon or not at all."""
    assert resource.check  # noqa: S101, for the type checker
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await resource.check(service.resource(resource))
    except Exception as error:  # noqa: BLE001, whatever it is, it is not ready
        log.warning("not_ready", error=type(error).__name__, resource=resource.name)
        return "unreachable"


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
