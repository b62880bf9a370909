"""Enqueueing jobs within a transaction."""

import hashlib
import hmac
import json
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import inspect, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.carriers import partition, recorded
from app.core.db.base import utc_now
from app.core.db.errors import refusing
from app.core.db.session import after_commit
from app.core.jobs import Job, P
from app.core.jobs.models import JobRun
from app.core.jobs.sealing import seal
from app.core.service import service_of

NEW = "new_jobs"
"""In a session's `info`: the rows of which the queue is notified after the commit."""
MISFIRE_GRACE = timedelta(hours=1)
"""How late a scheduled job still runs, if no process was running when it was due."""


class AlreadyEnqueued(Exception):
    """The same job with the same arguments is already enqueued."""


async def enqueue(
    session: AsyncSession, job: Job[P], *args: P.args, **kwargs: P.kwargs
) -> UUID | None:
    """Enqueue `job`, to run soon after `session` is committed; a rollback discards it.

    Returns its id, or that of the same job if `unique_for` forbids a second.
    """
    return await enqueue_at(session, utc_now(), job, *args, **kwargs)


async def enqueue_at(
    session: AsyncSession, when: datetime, job: Job[P], *args: P.args, **kwargs: P.kwargs
) -> UUID | None:
    """Enqueue `job`, to run at `when`, or soon after the commit if that is later."""
    if args:
        raise TypeError(f"{job.name} takes keyword arguments")
    arguments = job.arguments.model_validate(kwargs).model_dump(mode="json")
    run = new_run(session, job, arguments, when)
    if job.unique_for is None:
        session.add(run)
        remember(session, run)
        await session.flush()
    else:
        key = service_of(session).keys[0] if job.secret else ""
        run.unique_key = key_of(session, job.name, arguments, key)
        run.unique_until = utc_now() + job.unique_for
        try:
            await insert_unique(session, run)
        except AlreadyEnqueued:
            return await session.scalar(select(JobRun.id).filter_by(unique_key=run.unique_key))
    return run.id


async def enqueue_tick(session: AsyncSession, job: Job[...], tick: datetime) -> None:
    """Enqueue a scheduled job for `tick`, unless another process has done so."""
    run = new_run(session, job, {}, tick)
    run.unique_key = key_of(session, job.name, tick.isoformat())
    run.unique_until = tick + 2 * MISFIRE_GRACE
    with suppress(AlreadyEnqueued):
        await insert_unique(session, run)


def new_run(
    session: AsyncSession, job: Job[...], arguments: dict[str, Any], when: datetime
) -> JobRun:
    """A new row, which records on whose behalf and for which request it runs."""
    return JobRun(
        name=job.name,
        queue=job.queue,
        arguments=seal(service_of(session).keys, arguments) if job.secret else arguments,
        due_at=when,
        **recorded(),
    )


def key_of(session: AsyncSession, name: str, value: object, key: str = "") -> str:
    """A digest shared by runs that must not coexist; `key` keeps secrets from being guessed from it."""
    message = json.dumps([*partition(session), name, value], sort_keys=True).encode()
    return hmac.digest(key.encode(), message, hashlib.sha256).hex()


async def insert_unique(session: AsyncSession, run: JobRun) -> None:
    """Insert a row with a unique key; fail while an unfinished or recent row holds it."""
    holder = await session.scalar(
        select(JobRun).filter_by(unique_key=run.unique_key).with_for_update()
    )
    if holder is not None:
        if holder.finished_at is None or (holder.unique_until or utc_now()) >= utc_now():
            raise AlreadyEnqueued
        holder.unique_key = None
        await session.flush()
    with refusing("uq_jobs_unique_key", AlreadyEnqueued()):
        async with session.begin_nested():
            session.add(run)
    remember(session, run)


def remember(session: AsyncSession, run: JobRun) -> None:
    """Notify the queue after the commit, if the job is due by then."""
    if run.due_at is None or run.due_at > utc_now():
        return
    run.nudged_at = utc_now()
    if NEW not in session.info:
        after_commit(session, lambda: nudge(session))
    session.info.setdefault(NEW, []).append(run)


def nudge(session: AsyncSession) -> None:
    """Notify the queue of the committed rows; a savepoint may have rolled some back."""
    runs: list[JobRun] = session.info.pop(NEW)
    service_of(session).queue.nudge(
        [(run.id, run.name) for run in runs if inspect(run).has_identity]
    )
