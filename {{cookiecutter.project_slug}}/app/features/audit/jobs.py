"""Background jobs."""

from app.core.archive import archive_of
from app.core.jobs import HOUSEKEEPING, job
from app.core.jobs.outbox import enqueue
from app.core.jobs.purge import kept_for, purge
from app.core.jobs.schedule import cron
from app.core.jobs.work import Work
from app.features.audit.models import AuditEvent
from app.features.audit.settings import AuditSettings


@job("audit.purge", queue=HOUSEKEEPING, schedule=cron("27 1 * * *"))
async def purge_events(work: Work) -> None:
    """Archive and delete events past their retention period, a batch at a time."""
    days, archive = work.service.of(AuditSettings).days, archive_of(work.settings)
    if days and await purge(work.session, AuditEvent, kept_for(AuditEvent, days), archive):
        await enqueue(work.session, purge_events)
