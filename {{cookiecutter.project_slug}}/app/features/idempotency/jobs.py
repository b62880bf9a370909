"""Background jobs."""

from app.core.jobs import HOUSEKEEPING, job
from app.core.jobs.outbox import enqueue
from app.core.jobs.purge import purge
from app.core.jobs.schedule import cron
from app.core.jobs.work import Work
from app.features.idempotency import repository
from app.features.idempotency.models import IdempotencyKey
from app.features.idempotency.settings import IdempotencySettings


@job("idempotency.purge", queue=HOUSEKEEPING, schedule=cron("27 * * * *"))
async def purge_keys(work: Work) -> None:
    """Delete responses that need not be repeated any more, a batch at a time."""
    hours = work.service.of(IdempotencySettings).hours
    if await purge(work.session, IdempotencyKey, repository.outlived(hours)):
        await enqueue(work.session, purge_keys)
