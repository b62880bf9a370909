"""All SQL of jobs, except that of running them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import utc_now
from app.core.db.session import Database
from app.core.jobs.models import JobRun, JobState
from app.core.listing import Listing
from app.core.pagination import Found
from app.features.jobs.schemas import JobQuery

JOBS = Listing(JobQuery, JobRun)


async def get(session: AsyncSession, job_id: UUID, *, for_update: bool = False) -> JobRun | None:
    """The job with this id; optionally locked."""
    statement = select(JobRun).where(JobRun.id == job_id)
    return await session.scalar(statement.with_for_update() if for_update else statement)


async def page(reader: Database | AsyncSession, query: JobQuery) -> Found[Row[Any]]:
    """Matching jobs, newest first by default."""
    return await JOBS.page(reader, query)


async def dead(session: AsyncSession, limit: int, *, for_update: bool = False) -> Sequence[JobRun]:
    """The most recently dead jobs; optionally locked, skipping those locked by others."""
    statement = select(JobRun).where(JobRun.state == JobState.DEAD)
    newest = statement.order_by(JobRun.finished_at.desc(), JobRun.id.desc()).limit(limit)
    if for_update:
        newest = newest.with_for_update(skip_locked=True)
    return (await session.scalars(newest)).all()


def outlived(done_days: int, dead_days: int) -> tuple[type[JobRun], ColumnElement[bool]]:
    """Jobs that ended before the retention period and whose unique key no longer blocks others."""
    now = utc_now()
    long_done = and_(
        JobRun.state == JobState.DONE, JobRun.finished_at < now - timedelta(days=done_days)
    )
    long_dead = and_(
        JobRun.state == JobState.DEAD, JobRun.finished_at < now - timedelta(days=dead_days)
    )
    free = or_(JobRun.unique_until.is_(None), JobRun.unique_until < now)
    return JobRun, and_(or_(long_done, long_dead), free)
