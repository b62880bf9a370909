"""Services with replicas."""

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from httpx2 import AsyncClient
from sqlalchemy import URL

from app.core.db import migrations
from app.core.db.engine import create_engine
from app.core.db.freshness import Freshness, freshness
from app.core.db.replicas import Replicas, replicated
from app.core.db.session import Database, from_engine
from app.core.service import Service
from app.core.settings import Settings
from app.features.audit.models import AuditEvent
from app.main import create_app
from conftest import client_over
from tests.databases import fresh_database
from tests.inline import serving

EVENTS = "/api/v1/audit-events"
THERE = "seen.on.the.replica"
"""The action of an event that only a replica has."""


@contextmanager
def second_database(settings: Settings, directory: Path) -> Generator[Settings]:
    """The settings of a migrated database beside the usual one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.databases.WORKER", "second")
        with fresh_database(directory) as url:
            there = settings.model_copy(update={"database_url": url})
            migrations.upgrade(there)
            yield there


@asynccontextmanager
async def opened(settings: Settings) -> AsyncGenerator[Database]:
    """The database of these settings alone."""
    engine = create_engine(settings)
    yield from_engine(engine, settings)
    await engine.dispose()


async def note_event(settings: Settings, action: str = THERE) -> None:
    """Record an event, in the database of these settings."""
    async with opened(settings) as database, database.writer() as session:
        session.add(AuditEvent(action=action, object_type="test"))
        await session.commit()


@asynccontextmanager
async def following(
    database: Database, settings: Settings, *urls: URL | str, seconds: float = 10
) -> AsyncGenerator[Service]:
    """The service of the database, with these replicas."""
    changes = {"database_replica_urls": [*urls], "database_read_after_seconds": seconds}
    ours = settings.model_copy(update=changes)
    async with replicated(database, ours) as found:
        service = serving(found, settings=ours)
        found.carry(service)
        yield service


def replicas_of(service: Service) -> Replicas:
    """The replicas of a service."""
    assert isinstance(service.database.replicas, Replicas)
    return service.database.replicas


def client_of(service: Service) -> AsyncClient:
    """A client of the whole application."""
    return client_over(create_app(service.settings), service)


@contextmanager
def asking(*, only_reads: bool = True) -> Generator[Freshness]:
    """Within a request."""
    found = Freshness(only_reads=only_reads)
    token = freshness.set(found)
    yield found
    freshness.reset(token)


async def actions(client: AsyncClient) -> set[str]:
    """The actions of the events that a client sees."""
    response = await client.get(EVENTS)
    assert response.status_code == 200, response.text
    return {each["action"] for each in response.json()["items"]}


async def sees_replica(client: AsyncClient) -> bool:
    """Whether a list comes from the replica."""
    return THERE in await actions(client)
