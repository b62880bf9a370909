"""How long rows of the audit log are kept, where the database itself enforces it."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import URL, pool, select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.core.db import migrations
from app.core.db.base import utc_now
from app.core.db.engine import create_engine
from app.core.db.session import reading, unit_of_work
from app.core.jobs.models import JobRun
from app.core.jobs.outbox import enqueue
from app.core.jobs.runner import run_due
from app.core.settings import Settings
from app.features.audit.jobs import purge_events
from app.features.audit.models import AuditEvent
from app.features.audit.settings import AuditSettings
from tests.inline import configured, database_of, serving

DELETE = "DELETE FROM audit_events"


async def ask(url: URL | None, *statements: str) -> None:
    """Run these on one connection, and commit."""
    assert url
    engine = create_async_engine(url, poolclass=pool.NullPool)
    try:
        async with engine.begin() as connection:
            for statement in statements:
                await connection.exec_driver_sql(statement)
    finally:
        await engine.dispose()


@asynccontextmanager
async def engine_of(settings: Settings) -> AsyncGenerator[AsyncEngine]:
    """The service's own engine, with these settings."""
    engine = create_engine(settings)
    yield engine
    await engine.dispose()


async def note(settings: Settings, ages: Mapping[str, int]) -> set[str]:
    """Add events of these ages in days; return all events."""
    async with engine_of(settings) as engine:
        database = database_of(engine, settings)
        async with unit_of_work(database) as session:
            for action, days in ages.items():
                created_at = utc_now() - timedelta(days=days)
                session.add(AuditEvent(action=action, object_type="test", created_at=created_at))
        async with reading(database) as session:
            events = select(AuditEvent.action).where(AuditEvent.object_type == "test")
            return set(await session.scalars(events))


async def purge(settings: Settings, days: int, patch: pytest.MonkeyPatch) -> str:
    """Run the job with this setting; return its error."""
    patch.setattr(configured(AuditSettings), "days", days)
    jobs = {purge_events.name: purge_events}
    async with engine_of(settings) as engine:
        database = database_of(engine, settings)
        async with unit_of_work(database) as session:
            run_id = await enqueue(session, purge_events)
        await run_due(serving(database, settings=settings, jobs=jobs))
        async with reading(database) as session:
            run = await session.get_one(JobRun, run_id)
    assert (run.state, run.attempts) == ("dead" if run.error else "done", 1)
    return run.error or ""


async def upgrade(settings: Settings, days: int, patch: pytest.MonkeyPatch) -> None:
    """Run `app db upgrade` with this setting; there is nothing to migrate."""
    patch.setenv("AUDIT_DAYS", str(days))
    await asyncio.to_thread(migrations.upgrade, settings)


async def assert_the_owner_decides(settings: Settings, patch: pytest.MonkeyPatch) -> None:
    """A retention period in the service's settings may be longer; a shorter one takes an upgrade."""
    everything = await note(settings, {"oldest": 2000, "old": 366, "kept": 364, "new": 0})

    assert await purge(settings, 1, patch) == (
        "GiveUp: the database keeps rows of audit_events for longer than AUDIT_DAYS says:"
        " run `app db upgrade`"
    )
    assert await note(settings, {}) == everything
    assert await purge(settings, 1000, patch) == ""
    assert await note(settings, {}) == {"old", "kept", "new"}
    assert await purge(settings, 365, patch) == ""
    assert await note(settings, {}) == {"kept", "new"}

    await upgrade(settings, 30, patch)
    assert await purge(settings, 30, patch) == ""
    assert await note(settings, {}) == {"new"}

    await upgrade(settings, 0, patch)
    await note(settings, {"oldest": 2000})
    assert "run `app db upgrade`" in await purge(settings, 1000, patch)
    assert await note(settings, {}) == {"oldest", "new"}
