"""One worker process: one event loop, one engine."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import structlog

from app.core.db.base import utc_now
from app.core.db.embedded import ensure_database
from app.core.db.session import Database, connect, reading, unit_of_work
from app.core.errors import Unavailable
from app.core.jobs import Jobs, store
from app.core.jobs.celery import CeleryQueue
from app.core.jobs.runner import execute
from app.core.jobs.ticker import Ticker
from app.core.settings import Settings

log = structlog.stdlib.get_logger(__name__)
Result = TypeVar("Result")
Info = Callable[[Settings, CeleryQueue], dict[str, object]]

PATIENCE = timedelta(seconds=10)
"""A message that has not begun to run after this long may be lost, if its queue is empty."""
BACKLOG_PATIENCE = timedelta(minutes=5)
"""The same while messages wait in it: this one may be among them."""
BATCH = 500
CONNECTIONS = 2  # of each process, which does one thing at a time


class Process:
    """Opened in the first task or when the worker forks, whichever comes first."""

    def __init__(self, settings: Settings, jobs: Jobs, info: Info) -> None:
        self.settings = settings
        self.jobs = jobs
        self.info = info
        self.stack = AsyncExitStack()
        self.runner: asyncio.Runner | None = None
        self.ticker = Ticker(jobs)
        self.opened: tuple[Database, CeleryQueue] | None = None

    def run(self, act: Callable[[Database, CeleryQueue], Coroutine[Any, Any, None]]) -> None:
        """Do it in the event loop. Without a database nothing is lost: the relay asks again."""
        self.runner = self.runner or asyncio.Runner()
        try:
            self.runner.run(self.open_and(act))
        except Unavailable:
            log.warning("jobs_wait_for_the_database")

    async def open_and(
        self, act: Callable[[Database, CeleryQueue], Coroutine[Any, Any, None]]
    ) -> None:
        """Connect, if that has not been done."""
        if self.opened is None:
            settings = self.stack.enter_context(ensure_database(self.settings)).model_copy(
                update={"database_pool_size": CONNECTIONS}
            )
            queue = CeleryQueue(settings, self.jobs)
            info = self.info(settings, queue)
            connection = connect(settings, info, patient=True, log=True)
            database = await self.stack.enter_async_context(connection)
            await self.stack.enter_async_context(queue.working(info))
            self.opened = database, queue
        await act(*self.opened)

    def close(self) -> None:
        """Let go of the database."""
        if self.runner is not None:
            self.runner.run(self.stack.aclose())
            self.runner.close()
            self.runner = self.opened = None

    def perform(self, run_id: str) -> None:
        """Run the job of one row, if it is still to be run."""

        async def claim_and_execute(database: Database, queue: CeleryQueue) -> None:
            async with unit_of_work(database) as session:
                run = await store.claim_one(session, self.jobs, UUID(run_id))
            if run is not None:
                await execute(database, self.settings, self.jobs[run.name], run)

        self.run(claim_and_execute)

    def relay(self) -> None:
        """Enqueue scheduled jobs; send what is due and was never sent, or was lost on its way."""

        async def look(database: Database, queue: CeleryQueue) -> None:
            await self.ticker.fire(database, utc_now())
            async with reading(database) as session:
                found = await store.neglected_names(session, self.jobs, PATIENCE)
            queues = defaultdict[str, list[str]](list)
            for name in found:
                queues[self.jobs[name].queue].append(name)
            empty = queue.empty([*queues]) if queues else set[str]()
            for which, names in queues.items():  # a batch of each, so that none waits for another
                patience = PATIENCE if which in empty else BACKLOG_PATIENCE
                async with unit_of_work(database) as session:
                    runs = await store.mark_nudged(session, names, patience, BATCH)
                queue.send(runs)  # after the commit, or a worker that is quick finds nothing due

        self.run(look)
