from datetime import timedelta

import pytest
from sqlalchemy import select

from app.core.db.base import utc_now
from app.core.db.session import Database, reading, unit_of_work
from app.core.jobs import purge
from app.core.jobs.outbox import enqueue
from app.core.jobs.runner import run_due
from app.core.settings import Settings
from app.features.audit.jobs import purge_events
from app.features.audit.models import AuditEvent
from app.features.audit.settings import AuditSettings
from tests.inline import configured, serving


async def purged(database: Database, settings: Settings) -> list[str]:
    """Run the job on events of many ages; return those left."""
    ages = {"old": 366, "older": 1000, "oldest": 5000, "kept": 364, "new": 0}
    async with unit_of_work(database) as session:
        for action, days in ages.items():
            created_at = utc_now() - timedelta(days=days)
            session.add(AuditEvent(action=action, object_type="test", created_at=created_at))
        await enqueue(session, purge_events)

    await run_due(serving(database, settings=settings, jobs={"audit.purge": purge_events}))

    async with reading(database) as session:
        left = select(AuditEvent.action).where(AuditEvent.object_type == "test")
        return sorted(await session.scalars(left))


async def test_old_events_are_deleted_in_batches(
    committed_db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "BATCH", 2)

    assert await purged(committed_db, settings) == ["kept", "new"]


async def test_nothing_is_deleted_where_the_log_is_kept_for_ever(
    committed_db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configured(AuditSettings), "days", 0)

    assert len(await purged(committed_db, settings)) == 5
