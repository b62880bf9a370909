"""All SQL on the job table, except that of enqueueing."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVarTuple, cast
from uuid import uuid4

from sqlalchemy import (
    CompoundSelect,
    CursorResult,
    Row,
    Select,
    func,
    select,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import utc_now
from app.core.db.dialects import dialect_of
from app.core.jobs import Job, Jobs
from app.core.jobs.models import JobRun, JobState
from app.core.jobs.shares import Shares

GRACE = timedelta(seconds=10)
"""How long a lease exceeds the job's time limit, after which the process is presumed dead."""
LOST = "the process that ran it died, or took too long"
Columns = TypeVarTuple("Columns")


async def claim(
    session: AsyncSession, jobs: Jobs, *, limit: int, shares: Shares | None = None
) -> list[JobRun]:
    """Claim due rows, each with a lease for the time that its job may take.

    Each queue gets its share of `limit`. Rows whose process died are claimed again; after the last
    attempt they are dead.
    """
    connection = await session.connection()
    await connection.run_sync(dialect_of(connection.engine.url).keep_index_order)
    now, shares = utc_now(), shares or Shares()
    names, free, runs = set(jobs), limit, list[JobRun]()
    while names and free:
        due = (await session.execute(next_up(names, now, free))).all()
        chosen = shares.share_out([(jobs[row[0]].queue, row[0]) for row in due], free)
        for name, count in chosen.items():
            rows = due_rows(select(JobRun), name, now, count).with_for_update(skip_locked=True)
            found = (await session.scalars(rows)).all()
            runs += [run for run in found if take(run, jobs[name], now)]
            free -= len(found)
            if len(found) < count:
                names.discard(name)  # other processes have locked the rest
        if names.issuperset(chosen):
            break
    return runs


def next_up(names: Iterable[str], now: datetime, limit: int) -> CompoundSelect[str, datetime]:
    """Names and times of due rows, oldest first, at most `limit` for each name."""
    columns = select(JobRun.name, JobRun.due_at)
    each = [select(due_rows(columns, name, now, limit).subquery()) for name in names]
    return union_all(*each).order_by("due_at")


def due_rows(wanted: Select[*Columns], name: str, now: datetime, limit: int) -> Select[*Columns]:
    """The oldest due rows of one name: one range of an index, however many other rows are due.

    A condition on several names would read and sort all of their rows or, by an index on the time
    alone, read those of every other queue and of other versions of the service too.
    """
    due = wanted.where(JobRun.name == name, JobRun.due_at <= now)
    return due.order_by(JobRun.due_at).limit(limit)


def take(run: JobRun, job: Job[...], now: datetime) -> bool:
    """Mark a row as running, unless its attempts are used up."""
    if run.state == JobState.RUNNING:
        run.error = LOST
        if run.attempts > job.retries:
            run.state, run.finished_at = JobState.DEAD, now
            run.due_at = run.claim = None
            forget_key(run, job)
            return False
    run.state, run.claim, run.nudged_at = JobState.RUNNING, uuid4(), None
    run.attempts += 1
    run.due_at = now + job.time_limit + GRACE
    return True


def forget_key(run: JobRun, job: Job[...]) -> None:
    """Free the key of a dead job, so that the same job can be enqueued; a tick keeps its key."""
    if job.schedule is None:
        run.unique_key = run.unique_until = None


async def settle(session: AsyncSession, run: JobRun, **values: object) -> bool:
    """Record how an attempt ended; false if its claim was lost, because it took too long."""
    statement = update(JobRun).where(JobRun.id == run.id, JobRun.claim == run.claim)
    options = {"synchronize_session": False}
    values |= {"claim": None, "nudged_at": None, "updated_at": utc_now()}
    done = await session.execute(statement.values(values), execution_options=options)
    return cast("CursorResult[Any]", done).rowcount == 1


async def waiting(session: AsyncSession) -> Sequence[Row[str, int, datetime | None]]:
    """For each queue: how many rows are due, and since when the oldest is."""
    statement = (
        select(JobRun.queue, func.count(), func.min(JobRun.due_at))
        .where(
            # True of all due rows; stated, so that one range of an index suffices.
            JobRun.state.in_([JobState.QUEUED, JobState.RUNNING]),
            JobRun.finished_at.is_(None),
            JobRun.due_at <= utc_now(),
        )
        .group_by(JobRun.queue)
    )
    return (await session.execute(statement)).all()


async def dead(session: AsyncSession) -> Sequence[Row[str, int]]:
    """For each queue: how many rows are dead."""
    statement = (
        select(JobRun.queue, func.count())
        .where(JobRun.state == JobState.DEAD)
        .group_by(JobRun.queue)
    )
    return (await session.execute(statement)).all()
