"""SQL on the job table that only Celery needs."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import utc_now
from app.core.jobs import Jobs
from app.core.jobs.models import JobRun, JobState
from app.core.jobs.store import take

CLOCKS_DIFFER = timedelta(minutes=1)


async def claim_one(session: AsyncSession, jobs: Jobs, run_id: UUID) -> JobRun | None:
    """Claim this row, for which a message was sent; none is sent before a row is due.

    So do not skip it because the clock of its sender is ahead of ours, or because it is locked for a
    moment.
    """
    now = utc_now()
    told = and_(JobRun.state == JobState.QUEUED, JobRun.due_at <= now + CLOCKS_DIFFER)
    statement = (
        select(JobRun)
        .where(JobRun.id == run_id, JobRun.name.in_(jobs), or_(told, JobRun.due_at <= now))
        .with_for_update()
    )
    run = await session.scalar(statement)
    return run if run is not None and take(run, jobs[run.name], now) else None


def neglected(names: Iterable[str], patience: timedelta) -> ColumnElement[bool]:
    """Due rows whose queue was not notified, or longer ago than `patience`."""
    now = utc_now()
    return and_(
        JobRun.due_at <= now,
        JobRun.name.in_(names),
        or_(JobRun.nudged_at.is_(None), JobRun.nudged_at < now - patience),
    )


async def neglected_names(
    session: AsyncSession, jobs: Iterable[str], patience: timedelta
) -> Sequence[str]:
    """The names of jobs with such rows."""
    statement = select(JobRun.name).where(neglected(jobs, patience)).distinct()
    return (await session.scalars(statement)).all()


async def mark_nudged(
    session: AsyncSession, names: Iterable[str], patience: timedelta, limit: int
) -> list[tuple[UUID, str]]:
    """Mark such rows as notified now; returns their ids and names."""
    due = select(JobRun.id, JobRun.name).where(neglected(names, patience))
    found = (await session.execute(due.order_by(JobRun.due_at).limit(limit))).all()
    mark = update(JobRun).where(JobRun.id.in_([row[0] for row in found]))
    options = {"synchronize_session": False}
    await session.execute(mark.values(nudged_at=utc_now()), execution_options=options)
    return [(row[0], row[1]) for row in found]
