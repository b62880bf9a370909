"""One worker process: one event loop, one service."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog

from app.core.db.base import utc_now
from app.core.db.session import reading, unit_of_work
from app.core.errors import Unavailable
from app.core.jobs.celery import CeleryQueue, store
from app.core.jobs.runner import execute
from app.core.jobs.ticker import Ticker
from app.core.service import Service

log = structlog.stdlib.get_logger(__name__)

PATIENCE = timedelta(seconds=10)
"""A message that has not begun to run after this long may be lost, if its queue is empty."""
BACKLOG_PATIENCE = timedelta(minutes=5)
"""The same while messages wait in it: this one may be among them."""
BATCH = 500


class Process:
    """Opened in the first task or when the worker forks, whichever comes first."""

    def __init__(
        self, queue: CeleryQueue, opening: Callable[[], AbstractAsyncContextManager[Service]]
    ) -> None:
        self.queue = queue
        self.opening = opening
        self.stack = AsyncExitStack()
        self.runner: asyncio.Runner | None = None
        self.opened: tuple[Service, Ticker] | None = None

    def run(self, act: Callable[[Service, Ticker], Coroutine[Any, Any, None]]) -> None:
        """Do it in the event loop. Without a database nothing is lost: the relay asks again."""
        self.runner = self.runner or asyncio.Runner()
        try:
            self.runner.run(self.open_and(act))
        except Unavailable:
            log.warning("jobs_wait_for_the_database")

    async def open_and(self, act: Callable[[Service, Ticker], Coroutine[Any, Any, None]]) -> None:
        """Open the service, if that has not been done."""
        if self.opened is None:
            service = await self.stack.enter_async_context(self.opening())
            self.opened = service, Ticker(service)
        await act(*self.opened)

    def close(self) -> None:
        """Let go of the database."""
        if self.runner is not None:
            self.runner.run(self.stack.aclose())
            self.runner.close()
            self.runner = self.opened = None

    def perform(self, run_id: str) -> None:
        """Run the job of one row, if it is still to be run."""

        async def claim_and_execute(service: Service, _: Ticker) -> None:
            async with unit_of_work(service.database) as session:
                run = await store.claim_one(session, service.jobs, UUID(run_id))
            if run is not None:
                await execute(service, service.jobs[run.name], run)

        self.run(claim_and_execute)

    def relay(self) -> None:
        """Enqueue scheduled jobs; send what is due and was never sent, or was lost on its way."""

        async def look(service: Service, ticker: Ticker) -> None:
            await ticker.fire(utc_now())
            async with reading(service.database) as session:
                found = await store.neglected_names(session, service.jobs, PATIENCE)
            queues = defaultdict[str, list[str]](list)
            for name in found:
                queues[service.jobs[name].queue].append(name)
            empty = self.queue.empty([*queues]) if queues else set[str]()
            for which, names in queues.items():  # a batch of each, so that none waits for another
                patience = PATIENCE if which in empty else BACKLOG_PATIENCE
                async with unit_of_work(service.database) as session:
                    runs = await store.mark_nudged(session, names, patience, BATCH)
                # After the commit, or a worker that is quick finds nothing due.
                self.queue.send(runs)

        self.run(look)
