"""Jobs on Celery. A message only says that a row of the job table is due; everything else is in the row."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, cast
from uuid import UUID

import structlog
from kombu.transport.base import StdChannel

from app.core.feature import Feature, Kinds
from app.core.jobs import Jobs, Queue
from app.core.jobs.celery.application import CONNECT_SECONDS, make_celery, queue_name
from app.core.jobs.celery.settings import CelerySettings
from app.core.settings import Settings

__all__ = ["CeleryQueue", "CelerySettings", "feature"]

log = structlog.stdlib.get_logger(__name__)

UNSENT = 1000
"""The maximum number of waiting messages; the relay sends the rest."""
BREAK = 5.0
"""Seconds before an unresponsive broker is tried again."""
ANSWER = 2.0
"""Seconds after which a broker that does not answer counts as unreachable."""


class CeleryQueue:
    """Notifies the workers of committed rows; the relay sends what could not be sent."""

    def __init__(self, settings: Settings, jobs: Jobs, configured: Kinds) -> None:
        self.jobs = jobs
        self.ours = settings_in(configured)
        self.celery = make_celery(self.ours, jobs, patient=False)
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="nudge")
        self.checker = ThreadPoolExecutor(thread_name_prefix="check")
        self.checking: Future[str] | None = None
        self.waiting = 0
        self.resume_at = 0.0

    def nudge(self, runs: Sequence[tuple[UUID, str]]) -> None:
        """Send in a separate thread, because publishing blocks."""
        if runs and self.waiting < UNSENT and monotonic() >= self.resume_at:
            self.waiting += len(runs)
            self.thread.submit(self.publish, runs)

    def publish(self, runs: Sequence[tuple[UUID, str]]) -> None:
        """Send; if the broker is unreachable, pause for a while."""
        try:
            if monotonic() >= self.resume_at:
                self.send(runs)
        except Exception as error:  # noqa: BLE001, each transport has errors of its own
            self.resume_at = monotonic() + BREAK
            log.warning("jobs_not_sent", error=type(error).__name__, count=len(runs))
        finally:
            self.waiting -= len(runs)

    def send(self, runs: Sequence[tuple[UUID, str]]) -> None:
        """Send one message for each row; raises if the broker is unreachable."""
        with self.celery.connection_for_write() as connection:
            producer = self.celery.amqp.Producer(connection, auto_declare=False)
            for run_id, name in runs:
                self.celery.send_task(
                    name,
                    args=[str(run_id)],
                    queue=queue_name(self.ours, self.jobs[name].queue),
                    producer=producer,
                    retry=False,
                )

    @asynccontextmanager
    async def working(self, service: object) -> AsyncGenerator[None]:
        """The web service runs no jobs; at the end it sends the remaining messages."""
        try:
            yield
        finally:
            await asyncio.to_thread(self.thread.shutdown)

    async def check(self) -> dict[str, str]:
        """Whether the broker is reachable; one check at a time, in a separate thread."""
        if self.checking is None or self.checking.done():
            self.checking = self.checker.submit(self.reach)
        try:
            async with asyncio.timeout(ANSWER):
                error = await asyncio.shield(asyncio.wrap_future(self.checking))
        except TimeoutError as late:
            error = type(late).__name__
        if error:
            log.warning("not_ready", error=error)
        return {"broker": "unreachable" if error else "ok"}

    def reach(self) -> str:
        """Why the broker is unreachable; not raised, because the check may have timed out."""
        try:
            with self.celery.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, timeout=CONNECT_SECONDS)
        except Exception as error:  # noqa: BLE001, each transport has errors of its own
            return type(error).__name__
        return ""

    def empty(self, queues: Sequence[str]) -> set[str]:
        """The queues without a message, so that any message sent there was delivered or lost."""
        with self.celery.connection_for_write() as connection, connection.channel() as channel:
            return {queue for queue in queues if self.count(channel, queue) == 0}

    def count(self, channel: StdChannel, queue: str) -> int:
        """The number of messages in a queue.

        It is declared as workers do: on Redis, a passive declaration finds no queue whose keys have
        a prefix.
        """
        declared: Any = self.celery.amqp.queues[queue_name(self.ours, queue)](
            channel
        ).queue_declare()
        return declared.message_count


def settings_in(configured: Kinds) -> CelerySettings:
    """The settings of Celery among those of the features."""
    return cast("CelerySettings", configured[CelerySettings])


def chosen(settings: Settings, configured: Kinds) -> type[Queue] | None:
    """Celery runs the jobs, except in development without a configured broker."""
    broker_url = settings_in(configured).broker_url
    return CeleryQueue if settings.deployed or broker_url else None


feature = Feature(settings=(CelerySettings,), queue=chosen)
