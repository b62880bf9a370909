"""All SQL about the job table, but for what enqueues."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

from sqlalchemy import CursorResult, Row, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import utc_now
from app.core.jobs import Job, Jobs
from app.core.jobs.models import JobRun, JobState

GRACE = timedelta(seconds=10)
"""What a process may take beyond a job's time limit before others believe that it has died."""
LOST = "the process that ran it died, or took too long"


async def claim(
    session: AsyncSession,
    jobs: Jobs,
    *,
    limit: int,
    only: UUID | None = None,
    queues: Collection[str] = (),
) -> list[JobRun]:
    """Take due rows, each for the time that its job may last; nobody else has them meanwhile.

    Rows whose process died come back here; after the last attempt they are dead.
    """
    now = utc_now()
    statement = select(JobRun).where(JobRun.due_at <= now, JobRun.name.in_(jobs))
    if only is not None:
        statement = statement.where(JobRun.id == only)
    if queues:
        statement = statement.where(JobRun.queue.in_(queues))
    due = statement.order_by(JobRun.due_at).limit(limit).with_for_update(skip_locked=True)
    return [run for run in await session.scalars(due) if take(run, jobs[run.name], now)]


def take(run: JobRun, job: Job[...], now: datetime) -> bool:
    """Mark a row as running, unless it has been tried often enough."""
    if run.state == JobState.RUNNING:
        run.error = LOST
        if run.attempts > job.retries:
            bury(run, now)
            return False
    run.state, run.claim, run.nudged_at = JobState.RUNNING, uuid4(), None
    run.attempts += 1
    run.due_at = now + job.time_limit + GRACE
    return True


def bury(run: JobRun, now: datetime) -> None:
    """Nobody tries it again, unless somebody asks for that."""
    run.state, run.finished_at = JobState.DEAD, now
    run.due_at = run.claim = run.unique_key = run.unique_until = None


async def settle(session: AsyncSession, run: JobRun, **values: object) -> bool:
    """Write how an attempt ended; false when it is no longer ours, because it took too long."""
    statement = update(JobRun).where(JobRun.id == run.id, JobRun.claim == run.claim)
    options = {"synchronize_session": False}
    values |= {"claim": None, "nudged_at": None, "updated_at": utc_now()}
    done = await session.execute(statement.values(values), execution_options=options)
    return cast("CursorResult[Any]", done).rowcount == 1


async def neglected(
    session: AsyncSession, jobs: Iterable[str], patience: timedelta, limit: int
) -> Sequence[JobRun]:
    """Due rows that no queue was told of, or so long ago that the message may be lost."""
    now = utc_now()
    statement = (
        select(JobRun)
        .where(
            JobRun.due_at <= now,
            JobRun.name.in_(jobs),
            or_(JobRun.nudged_at.is_(None), JobRun.nudged_at < now - patience),
        )
        .order_by(JobRun.nudged_at.is_not(None), JobRun.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return (await session.scalars(statement)).all()


async def waiting(session: AsyncSession) -> Sequence[Row[str, int, datetime | None]]:
    """For each queue: how many rows are due, and since when the first of them."""
    statement = (
        select(JobRun.queue, func.count(), func.min(JobRun.due_at))
        .where(JobRun.due_at <= utc_now())
        .group_by(JobRun.queue)
    )
    return (await session.execute(statement)).all()


async def dead(session: AsyncSession) -> Sequence[Row[str, int]]:
    """For each queue: how many rows nobody tries any more."""
    statement = (
        select(JobRun.queue, func.count())
        .where(JobRun.state == JobState.DEAD)
        .group_by(JobRun.queue)
    )
    return (await session.execute(statement)).all()
