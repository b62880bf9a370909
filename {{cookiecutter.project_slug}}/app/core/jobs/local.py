"""Jobs in the web service's own process: nothing else has to run, and no job is lost."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from uuid import UUID

import structlog

from app.core.db.base import utc_now
from app.core.db.session import connect, unit_of_work
from app.core.errors import Unavailable
from app.core.jobs import Jobs, store
from app.core.jobs.models import JobRun
from app.core.jobs.runner import execute
from app.core.jobs.shares import Shares
from app.core.jobs.ticker import Ticker
from app.core.service import Service
from app.core.settings import Settings

log = structlog.stdlib.get_logger(__name__)

PATIENCE = 5.0  # seconds between one cancellation and the next
SPARE_CONNECTIONS = 2  # to claim and to enqueue scheduled jobs while all slots are taken
LONGEST_SLEEP = 60.0  # seconds; a change of the clock is noticed by then


class LocalQueue:
    """Claims due rows, up to `job_concurrency` at once; other processes do the same.

    Queues with due jobs share these slots; a single one gets them all.
    """

    def __init__(self, settings: Settings, jobs: Jobs, configured: object = None) -> None:
        self.settings = settings
        self.jobs = jobs
        self.due = asyncio.Event()
        self.stopping = False
        self.under_way: set[asyncio.Task[None]] = set()
        self.shares = Shares()

    def nudge(self, runs: Sequence[tuple[UUID, str]]) -> None:
        """Poll the table now instead of soon."""
        self.due.set()

    async def check(self) -> dict[str, str]:
        """It depends on nothing else."""
        return {}

    @asynccontextmanager
    async def working(self, service: Service) -> AsyncGenerator[None]:
        """Run jobs until the end, then let running ones finish, within the shutdown timeout.

        Jobs have their own connections, so that no request waits for them.
        """
        pool = {"database_pool_size": self.settings.job_concurrency + SPARE_CONNECTIONS}
        async with connect(service.settings.model_copy(update=pool), patient=True) as database:
            beside = replace(service, database=database)
            database.carry(beside)
            claiming = asyncio.create_task(self.work(beside))
            watching = asyncio.create_task(self.keep_schedule(beside))
            try:
                yield
            finally:
                await self.stop(claiming, watching)

    async def stop(self, claiming: asyncio.Task[None], watching: asyncio.Task[None]) -> None:
        """Stop claiming, start what is already claimed, then wait."""
        self.stopping = True
        self.due.set()
        await asyncio.wait([claiming], timeout=self.settings.database_timeout)
        await cancel([claiming, watching])
        if self.under_way:
            await asyncio.wait(self.under_way, timeout=self.settings.shutdown_timeout)
        await cancel(self.under_way)

    async def work(self, service: Service) -> None:
        """Claim and start jobs, until stopped."""
        while not self.stopping:
            self.due.clear()
            free = self.settings.job_concurrency - len(self.under_way)
            claimed = await self.claim(service, free) if free else []
            for run in claimed:
                self.begin(service, run)
            if (len(claimed) < free or not free) and not self.stopping:
                await self.rest()

    async def rest(self) -> None:
        """Wait until notified, a job ends, or it is time to poll for rows of other processes."""
        try:
            async with asyncio.timeout(self.settings.job_poll_seconds):
                await self.due.wait()
        except TimeoutError:
            pass

    async def claim(self, service: Service, limit: int) -> list[JobRun]:
        """Claim due rows; none while the database is unreachable."""
        try:
            async with unit_of_work(service.database) as session:
                return await store.claim(session, self.jobs, limit=limit, shares=self.shares)
        except Unavailable:
            log.warning("jobs_wait_for_the_database")
        except Exception:
            log.exception("jobs_cannot_be_claimed")
        return []

    def begin(self, service: Service, run: JobRun) -> None:
        """Run a job concurrently with the others."""
        job = self.jobs[run.name]
        task = asyncio.create_task(execute(service, job, run))
        self.under_way.add(task)
        self.shares.begin(job.queue)
        task.add_done_callback(partial(self.end, job.queue))

    def end(self, queue: str, task: asyncio.Task[None]) -> None:
        """Free the slot for the next job."""
        self.under_way.discard(task)
        self.shares.end(queue)
        self.due.set()

    async def keep_schedule(self, service: Service) -> None:
        """Enqueue scheduled jobs when they are due."""
        ticker = Ticker(service)
        while True:
            now = utc_now()
            await ticker.fire(now)
            coming = ticker.following(now)
            wait = (coming - utc_now()).total_seconds() if coming else LONGEST_SLEEP
            await asyncio.sleep(min(max(wait, 0.0), LONGEST_SLEEP))


async def cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel these until they end; a cancelled job returns its row to the queue."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=PATIENCE)
