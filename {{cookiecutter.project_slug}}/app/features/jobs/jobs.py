"""Background jobs."""

from app.core.archive import archive_of
from app.core.jobs import HOUSEKEEPING, job
from app.core.jobs.outbox import enqueue
from app.core.jobs.purge import purge
from app.core.jobs.schedule import cron
from app.core.jobs.work import Work
from app.features.jobs import repository
from app.features.jobs.settings import JobSettings


@job("jobs.purge", queue=HOUSEKEEPING, schedule=cron("7 1 * * *"))
async def purge_jobs(work: Work) -> None:
    """Archive and delete jobs that ended long ago, a batch at a time."""
    settings = work.service.of(JobSettings)
    outlived = repository.outlived(settings.done_days, settings.dead_days)
    if await purge(work.session, *outlived, archive_of(work.settings)):
        await enqueue(work.session, purge_jobs)
