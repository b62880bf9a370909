"""Rules about inspecting and retrying jobs."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import utc_now
from app.core.errors import Conflict, NotFound
from app.core.jobs.models import JobRun, JobState
from app.core.jobs.outbox import remember
from app.features import audit
from app.features.jobs import repository


class JobNotFound(NotFound):
    """No job has this id, or it was purged."""

    def __init__(self) -> None:
        super().__init__("There is no such job.")


class JobNotDead(Conflict):
    """Only dead jobs can be retried manually; the others are retried automatically."""

    def __init__(self, state: str) -> None:
        super().__init__(f"The job is {state}; only a dead one can be retried.")


async def get(session: AsyncSession, job_id: UUID) -> JobRun:
    """One job."""
    run = await repository.get(session, job_id)
    if run is None:
        raise JobNotFound
    return run


async def retry(session: AsyncSession, job_id: UUID) -> JobRun:
    """Requeue a dead job, with all its attempts."""
    run = await repository.get(session, job_id, for_update=True)
    if run is None:
        raise JobNotFound
    if run.state != JobState.DEAD:
        raise JobNotDead(run.state)
    revive(session, run)
    await session.flush()
    return run


async def retry_all(session: AsyncSession, limit: int) -> Sequence[JobRun]:
    """Requeue the most recently dead jobs."""
    runs = await repository.dead(session, limit, for_update=True)
    for run in runs:
        revive(session, run)
    return runs


def revive(session: AsyncSession, run: JobRun) -> None:
    """Make the job due now."""
    run.state, run.attempts, run.due_at = JobState.QUEUED, 0, utc_now()
    run.finished_at = None
    audit.record(session, "job.retried", "job", run.id, after={"name": run.name})
    remember(session, run)
