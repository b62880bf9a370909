"""Running one claimed job, with its limits, retries and records; shared by all queues."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any

import structlog

from app.core import deadline
from app.core.carriers import carrying, resumed
from app.core.db.base import utc_now
from app.core.db.session import Database, telling_outages, unit_of_work
from app.core.errors import Unavailable
from app.core.jobs import GiveUp, Job, JobError, UnreadableArguments, store
from app.core.jobs.metrics import observe
from app.core.jobs.models import JobRun, JobState
from app.core.jobs.sealing import unseal
from app.core.jobs.work import Work
from app.core.service import Service

log = structlog.stdlib.get_logger(__name__)

PATIENCE = timedelta(minutes=1)
"""How long to wait for an unreachable database to record that an attempt failed."""
AGAIN_SECONDS = 1.0
DONE, RETRIED, DEAD, LOST, RELEASED = "done", "retried", "dead", "lost", "released"


class ClaimLostError(Exception):
    """The attempt outlived its lease and another process took over; its work is rolled back."""


class AttemptFailedError(Exception):
    """The job raised; what it wrote is rolled back."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


async def execute(service: Service, job: Job[...], run: JobRun) -> None:
    """Run a claimed job once, and record the outcome."""
    ends = asyncio.get_running_loop().time() + job.time_limit.total_seconds()
    with ExitStack() as stack:
        # Logged, audited and traced as part of the request that enqueued it.
        stack.enter_context(carrying([*resumed(run), (deadline.carrier, ends)]))
        around = [each.attempts for each in service.telemetry if each.attempts]
        told = [stack.enter_context(enter(job, run.id, run.attempts)) for enter in around]
        started = perf_counter()
        outcome = await attempt(service, job, run)
        for tell in told:
            tell(outcome)
        seconds = perf_counter() - started
        observe(job.name, outcome, seconds)
        log.info(
            "job",
            job=job.name,
            job_id=str(run.id),
            attempt=run.attempts,
            outcome=outcome,
            duration_ms=round(seconds * 1000, 2),
        )


async def attempt(service: Service, job: Job[...], run: JobRun) -> str:
    """Run one attempt; returns its outcome."""
    database, begun = service.database, asyncio.Event()
    try:
        async with asyncio.timeout(job.time_limit.total_seconds()):
            await work(service, job, run, begun)
    except ClaimLostError:
        return LOST
    except asyncio.CancelledError:
        await release(database, run)
        raise
    except TimeoutError:
        error: Exception = TimeoutError(f"not done within {job.time_limit}")
    except AttemptFailedError as failed:
        error = failed.error
    except Exception as other:  # noqa: BLE001, whatever it is, it is recorded
        error = other
    else:
        return DONE
    # Outside `except`: a failure from here on would carry the error, and its secrets, into the log.
    if isinstance(error, Unavailable) and not begun.is_set():
        return await release(database, run)
    service.report(error, f"job {job.name}", secret=job.secret)
    return await fail(database, job, run, error)


async def work(service: Service, job: Job[...], run: JobRun, begun: asyncio.Event) -> None:
    """Run the job; its work and its state are committed together, or not at all."""
    async with unit_of_work(service.database) as session:
        begun.set()
        try:
            arguments = arguments_for(job, run, service.keys)
            async with telling_outages(service.database):
                await job.function(Work(session, service, run.attempts, run.id), **arguments)
        except Exception as error:  # noqa: BLE001
            raise AttemptFailedError(error) from None
        done = await store.settle(
            session,
            run,
            state=JobState.DONE,
            arguments={} if job.secret else run.arguments,
            due_at=None,
            finished_at=utc_now(),
            error=None,
        )
        if not done:
            raise ClaimLostError


def arguments_for(job: Job[...], run: JobRun, keys: Sequence[str]) -> dict[str, Any]:
    """The arguments as the function expects them, without those added by a newer version."""
    stored = unseal(keys, run.arguments) if job.secret else run.arguments
    known = {name: stored[name] for name in job.arguments.model_fields if name in stored}
    try:
        model = job.arguments.model_validate(known)
    except ValueError:
        raise UnreadableArguments("the arguments do not fit this version of the job") from None
    return {name: getattr(model, name) for name in job.arguments.model_fields}


async def fail(database: Database, job: Job[...], run: JobRun, error: Exception) -> str:
    """Schedule a retry, or declare the job dead."""
    last = isinstance(error, GiveUp) or run.attempts > job.retries
    told = describe(job, error)
    log.warning(
        "job_failed",
        job=job.name,
        job_id=str(run.id),
        attempt=run.attempts,
        last=last,
        error=told,
        exc_info=None if job.secret else error,
    )
    ending: dict[str, object] = {"error": told, "state": JobState.QUEUED}
    if last:
        ending |= {"state": JobState.DEAD, "due_at": None, "finished_at": utc_now()}
        if job.schedule is None:
            ending |= {"unique_key": None, "unique_until": None}
    else:
        ending["due_at"] = utc_now() + job.delay(run.attempts)
    # Unrecorded, it would look as if the process had died, and wait until its lease expires.
    until = min(run.due_at or utc_now(), utc_now() + PATIENCE)
    return await ended(database, run, DEAD if last else RETRIED, ending, until)


def describe(job: Job[...], error: Exception) -> str:
    """The error as text that every database can store; of a secret job only messages of ours."""
    told = type(error).__name__
    if isinstance(error, JobError) or not job.secret:
        told += f": {error}"
    return told.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")[:1000]


async def release(database: Database, run: JobRun) -> str:
    """Return the job to the queue unchanged: it has not started, or this process stops before it ends."""
    values = {"state": JobState.QUEUED, "due_at": utc_now(), "attempts": run.attempts - 1}
    return await ended(database, run, RELEASED, values)


async def ended(
    database: Database,
    run: JobRun,
    outcome: str,
    values: Mapping[str, object],
    until: datetime | None = None,
) -> str:
    """Record an outcome, waiting for the database `until` then; after that, the lease expires."""
    while True:
        try:
            async with unit_of_work(database) as session:
                return outcome if await store.settle(session, run, **values) else LOST
        except Exception as error:  # noqa: BLE001
            if not isinstance(error, Unavailable) or until is None or utc_now() >= until:
                kind = type(error).__name__
                log.warning("job_ending_not_written", job_id=str(run.id), error=kind)
                return LOST
        await asyncio.sleep(AGAIN_SECONDS)


async def run_due(service: Service) -> int:
    """Run due jobs one by one until none is left; returns how many."""
    count = 0
    while True:
        async with unit_of_work(service.database) as session:
            claimed = await store.claim(session, service.jobs, limit=1)
        if not claimed:
            return count
        await execute(service, service.jobs[claimed[0].name], claimed[0])
        count += 1
