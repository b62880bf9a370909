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
"""A message whose job has not started after this long may be lost, if its queue is empty."""
BACKLOG_PATIENCE = timedelta(minutes=5)
"""The same while the queue has messages: this one may be among them."""
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
        """Run `act` in the event loop; without a database nothing is lost, as the relay sends it again."""
        self.runner = self.runner or asyncio.Runner()
        try:
            self.runner.run(self.open_and(act))
        except Unavailable:
            log.warning("jobs_wait_for_the_database")

    async def open_and(self, act: Callable[[Service, Ticker], Coroutine[Any, Any, None]]) -> None:
        """Open the service, if it is not open yet, and run `act`."""
        if self.opened is None:
            service = await self.stack.enter_async_context(self.opening())
            self.opened = service, Ticker(service)
        await act(*self.opened)

    def close(self) -> None:
        """Close the service and the event loop."""
        if self.runner is not None:
            self.runner.run(self.stack.aclose())
            self.runner.close()
            self.runner = self.opened = None

    def perform(self, run_id: str) -> None:
        """Run the job of one row, if it is still due."""

        async def claim_and_execute(service: Service, _: Ticker) -> None:
            async with unit_of_work(service.database) as session:
                run = await store.claim_one(session, service.jobs, UUID(run_id))
            if run is not None:
                await execute(service, service.jobs[run.name], run)

        self.run(claim_and_execute)

    def relay(self) -> None:
        """Enqueue scheduled jobs; send due ones that were never sent, or whose message was lost."""

        async def look(service: Service, ticker: Ticker) -> None:
            await ticker.fire(utc_now())
            async with reading(service.database) as session:
                found = await store.neglected_names(session, service.jobs, PATIENCE)
            queues = defaultdict[str, list[str]](list)
            for name in found:
                queues[service.jobs[name].queue].append(name)
            empty = self.queue.empty([*queues]) if queues else set[str]()
            for which, names in queues.items():  # a batch for each, so that none delays another
                patience = PATIENCE if which in empty else BACKLOG_PATIENCE
                async with unit_of_work(service.database) as session:
                    runs = await store.mark_nudged(session, names, patience, BATCH)
                # After the commit, or a quick worker would find nothing due.
                self.queue.send(runs)

        self.run(look)
