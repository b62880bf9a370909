import gzip
import json
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import select

from app.core.db.base import utc_now
from app.core.db.session import Database, reading, unit_of_work
from app.core.jobs.outbox import enqueue
from app.core.jobs.runner import run_due
from app.core.settings import Settings
from app.core.tenancy import within
from app.features.audit.jobs import purge_events
from app.features.audit.models import AuditEvent
from app.features.tenants.models import Tenant
from tests.inline import serving


async def test_archived_events_name_their_tenant(
    committed_db: Database, settings: Settings, tmp_path: Path
) -> None:
    expected: dict[str, UUID | None] = {"none": None}
    async with unit_of_work(committed_db) as session:
        tenants = [Tenant(name=name) for name in ("one", "other")]
        session.add_all(tenants)
        await session.flush()
        expected |= {tenant.name: tenant.id for tenant in tenants}
        for action, tenant_id in expected.items():
            with within(tenant_id):
                event = AuditEvent(action=action, object_type="test")
                event.created_at = utc_now() - timedelta(days=400)
                session.add(event)
        await enqueue(session, purge_events)
    configured = settings.model_copy(update={"archive_dir": tmp_path})

    jobs = {purge_events.name: purge_events}
    await run_due(serving(committed_db, settings=configured, jobs=jobs))

    (file,) = list(tmp_path.glob("audit_events/*/*"))  # noqa: ASYNC240, nothing else runs
    rows = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    assert {row["action"]: row["tenant_id"] for row in rows} == {
        action: str(tenant_id) if tenant_id else None for action, tenant_id in expected.items()
    }
    async with reading(committed_db) as session:
        left = select(AuditEvent.id).where(AuditEvent.object_type == "test")
        assert (await session.scalars(left)).all() == []
