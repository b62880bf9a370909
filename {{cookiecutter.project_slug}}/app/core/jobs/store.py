"""All SQL about the job table, but for what enqueues."""

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
"""What a process may take beyond a job's time limit before others believe that it has died."""
LOST = "the process that ran it died, or took too long"
Columns = TypeVarTuple("Columns")


async def claim(
    session: AsyncSession, jobs: Jobs, *, limit: int, shares: Shares | None = None
) -> list[JobRun]:
    """Take due rows, each for the time that its job may last; nobody else has them meanwhile.

    Each queue gets its share of `limit`. Rows whose process died come back here; after the last
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
                names.discard(name)  # other processes have locked the rest of it
        if names.issuperset(chosen):
            break
    return runs


def next_up(names: Iterable[str], now: datetime, limit: int) -> CompoundSelect[str, datetime]:
    """Names and times of the rows that are due, the oldest first; of each name `limit` at most."""
    columns = select(JobRun.name, JobRun.due_at)
    each = [select(due_rows(columns, name, now, limit).subquery()) for name in names]
    return union_all(*each).order_by("due_at")


def due_rows(wanted: Select[*Columns], name: str, now: datetime, limit: int) -> Select[*Columns]:
    """The oldest due rows of one name: a piece of an index, however many other rows are due.

    Several names in one condition would be read and sorted whole, or, in the order of an index on the
    time alone, together with the rows of every other queue and of other versions of the service.
    """
    due = wanted.where(JobRun.name == name, JobRun.due_at <= now)
    return due.order_by(JobRun.due_at).limit(limit)


def take(run: JobRun, job: Job[...], now: datetime) -> bool:
    """Mark a row as running, unless it has been tried often enough."""
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
    """A dead job makes room for the same job; a tick has had its turn."""
    if job.schedule is None:
        run.unique_key = run.unique_until = None


async def settle(session: AsyncSession, run: JobRun, **values: object) -> bool:
    """Write how an attempt ended; false when it is no longer ours, because it took too long."""
    statement = update(JobRun).where(JobRun.id == run.id, JobRun.claim == run.claim)
    options = {"synchronize_session": False}
    values |= {"claim": None, "nudged_at": None, "updated_at": utc_now()}
    done = await session.execute(statement.values(values), execution_options=options)
    return cast("CursorResult[Any]", done).rowcount == 1


async def waiting(session: AsyncSession) -> Sequence[Row[str, int, datetime | None]]:
    """For each queue: how many rows are due, and since when the first of them."""
    statement = (
        select(JobRun.queue, func.count(), func.min(JobRun.due_at))
        .where(
            # Of whatever is due these two are true; said, all of it is one piece of an index.
            JobRun.state.in_([JobState.QUEUED, JobState.RUNNING]),
            JobRun.finished_at.is_(None),
            JobRun.due_at <= utc_now(),
        )
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
