"""Checks of the service's dependencies."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import migrations
from app.core.db.errors import DatabaseUnavailable
from app.core.db.session import PROBE_SECONDS, Database, probe
from app.core.errors import Unavailable
from app.core.resources import Resource
from app.core.service import Service
from app.features.health.schemas import Alive, Ready
from app.features.health.settings import HealthSettings

log = structlog.stdlib.get_logger(__name__)


USABLE = ("ok", "degraded")
"""How the words for what still does its work begin."""
FRESH_SECONDS = 1.0
"""For how long an answer is given again, however many ask."""


class NotReady(Unavailable):
    """A dependency is unavailable, or the service is stopping; send no requests here for now."""


class Watch:
    """The last check of the dependencies: all probes that ask meanwhile wait for the same one."""

    def __init__(self) -> None:
        self.checking: asyncio.Task[Mapping[str, str]] | None = None
        self.begun = 0.0
        self.started = False
        """Whether the service has been ready once."""

    async def checks(self, service: Service) -> Mapping[str, str]:
        """The state of each dependency, not older than a second."""
        last = self.checking
        if last is None or (last.done() and monotonic() - self.begun >= FRESH_SECONDS):
            last = self.checking = asyncio.create_task(check_all(service))
            self.begun = monotonic()
        # A probe that gives up must not end the check of the others.
        found = await asyncio.shield(last)
        self.started |= is_usable(found)
        return found


@asynccontextmanager
async def opened(service: Service) -> AsyncGenerator[Watch]:
    """Nothing was checked yet."""
    yield Watch()


watching = Resource("health", opened)


async def started(service: Service) -> Alive:
    """Raise `NotReady` until the service has been ready once."""
    watch = service.resource(watching)
    if not watch.started and not is_usable(await watch.checks(service)):
        raise NotReady("The service has not been ready yet.")
    return Alive()


async def readiness(service: Service, presented: str | None) -> Ready:
    """Check each dependency; raise `NotReady` when one fails. Who may see it learns which."""
    if service.draining.begun:
        raise NotReady("The service is stopping.")
    shown = may_see(service, presented)
    checks = dict(await service.resource(watching).checks(service))
    if not is_usable(checks):
        told = {"checks": checks} if shown else {}
        raise NotReady("The service cannot do its work at the moment.", **told)
    return Ready(checks=checks if shown else None)


def may_see(service: Service, presented: str | None) -> bool:
    """Whether the caller presents HEALTH_TOKEN; without one configured, all may in development and none elsewhere."""
    token = service.of(HealthSettings).token
    if token is None:
        return not service.settings.deployed
    bearer = f"Bearer {token.get_secret_value()}"
    return secrets.compare_digest(bearer.encode(), (presented or "").encode())


def is_usable(checks: Mapping[str, str]) -> bool:
    """Whether the service does its work with these."""
    return all(result.startswith(USABLE) for result in checks.values())


async def check_all(service: Service) -> Mapping[str, str]:
    """Ask all dependencies at once."""
    resources = [each for each in service.opened if each.check]
    state, others, answers = await asyncio.gather(
        check_database(service.database),
        service.queue.check(),
        asyncio.gather(*(check_resource(service, each) for each in resources)),
    )
    found = {each.name: answer for each, answer in zip(resources, answers, strict=True) if answer}
    replicas = service.database.replicas
    followers = {"replicas": replicas.state()} if replicas else {}
    return {"database": state, **followers, **others, **found}


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

    async def look(session: AsyncSession) -> str | None:
        newer = await migrations.ahead(session)
        await (await session.connection()).run_sync(database.dialect.demand_writable)
        return newer

    try:
        newer = await probe(database, look)
    except DatabaseUnavailable as error:
        log.warning("not_ready", error=str(error))
        return error.state
    return f"ok: migrated by a newer release, to {newer}" if newer else "ok"
