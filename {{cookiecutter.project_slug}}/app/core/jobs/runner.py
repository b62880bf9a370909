"""Running one claimed job: limits, retries, records. Every queue does it here."""

import asyncio
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import structlog
from asgi_correlation_id import correlation_id

from app.core.context import ACTOR, NOBODY, actor
from app.core.db.base import utc_now
from app.core.db.session import Database, unit_of_work
from app.core.errors import Unavailable
from app.core.jobs import GiveUp, Job, Jobs, store
from app.core.jobs.metrics import observe
from app.core.jobs.models import JobRun, JobState
from app.core.jobs.sealing import unseal
from app.core.jobs.work import Work
from app.core.pagination import KEYS
from app.core.settings import Settings

log = structlog.stdlib.get_logger(__name__)

DONE, RETRIED, DEAD, LOST, RELEASED = "done", "retried", "dead", "lost", "released"


class ClaimLostError(Exception):
    """The attempt took so long that somebody else has taken over; its work is not kept."""


class AttemptFailedError(Exception):
    """The job raised; nothing that it wrote is kept."""


async def execute(database: Database, settings: Settings, job: Job[...], run: JobRun) -> None:
    """Run a claimed job once, and write down how it ended."""
    with on_behalf_of(run):
        started = perf_counter()
        outcome = await attempt(database, settings, job, run)
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


async def attempt(database: Database, settings: Settings, job: Job[...], run: JobRun) -> str:
    """How it went."""
    try:
        async with asyncio.timeout(job.time_limit.total_seconds()):
            await work(database, settings, job, run)
    except ClaimLostError:
        return LOST
    except asyncio.CancelledError:
        await release(database, run)
        raise
    except TimeoutError:
        return await fail(database, job, run, TimeoutError(f"not done within {job.time_limit}"))
    except AttemptFailedError as failed:
        return await fail(database, job, run, failed.__cause__ or failed)
    except Exception as error:  # noqa: BLE001, whatever it is, it is written down
        return await fail(database, job, run, error)
    return DONE


async def work(database: Database, settings: Settings, job: Job[...], run: JobRun) -> None:
    """What the job does and that it is done are committed together, or not at all."""
    async with unit_of_work(database) as session:
        try:
            arguments = arguments_for(job, run, session.info)
            await job.function(Work(session, settings, run.attempts), **arguments)
        except Exception as error:
            raise AttemptFailedError from error
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


def arguments_for(job: Job[...], run: JobRun, info: dict[Any, Any]) -> dict[str, Any]:
    """The arguments as the function wants them."""
    stored = unseal(info[KEYS], run.arguments) if job.secret else run.arguments
    try:
        model = job.arguments.model_validate(stored)
    except ValueError as error:
        raise GiveUp("the arguments do not fit the job any more") from error
    return {name: getattr(model, name) for name in type(model).model_fields}


async def fail(database: Database, job: Job[...], run: JobRun, error: BaseException) -> str:
    """Try again later, or never."""
    last = isinstance(error, GiveUp) or run.attempts > job.retries
    log.warning(
        "job_failed",
        job=job.name,
        job_id=str(run.id),
        attempt=run.attempts,
        last=last,
        error=type(error).__name__,
        exc_info=None if job.secret else error,
    )
    told = type(error).__name__ if job.secret else f"{type(error).__name__}: {error}"
    ending: dict[str, object] = {"error": told[:1000], "state": JobState.QUEUED}
    if last:
        dead = {"state": JobState.DEAD, "due_at": None, "finished_at": utc_now()}
        ending |= dead | {"unique_key": None, "unique_until": None}
    else:
        ending["due_at"] = utc_now() + job.delay(run.attempts)
    return await ended(database, run, DEAD if last else RETRIED, ending)


async def release(database: Database, run: JobRun) -> None:
    """This process must end before the job did: give it back, as if it had not begun."""
    values = {"state": JobState.QUEUED, "due_at": utc_now(), "attempts": run.attempts - 1}
    await ended(database, run, RELEASED, values)


async def ended(database: Database, run: JobRun, outcome: str, values: Mapping[str, object]) -> str:
    """Write an ending; without a database the lease ends by itself."""
    try:
        async with unit_of_work(database) as session:
            return outcome if await store.settle(session, run, **values) else LOST
    except Unavailable:
        return LOST


async def run_due(database: Database, settings: Settings, jobs: Jobs) -> int:
    """Run what is due until nothing is, one after the other; how many that were."""
    count = 0
    while True:
        async with unit_of_work(database) as session:
            claimed = await store.claim(session, jobs, limit=1)
        if not claimed:
            return count
        await execute(database, settings, jobs[claimed[0].name], claimed[0])
        count += 1


@contextmanager
def on_behalf_of(run: JobRun) -> Generator[None]:
    """Log and audit as the request that asked for the job."""
    who = NOBODY if run.actor is None else ACTOR.validate_python(run.actor)
    tokens = correlation_id.set(run.correlation_id), actor.set(who)
    try:
        yield
    finally:
        correlation_id.reset(tokens[0])
        actor.reset(tokens[1])
