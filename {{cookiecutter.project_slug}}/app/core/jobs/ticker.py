"""Scheduled jobs: each tick becomes one row, however many processes watch the clock."""

from contextlib import nullcontext
from datetime import datetime, timedelta

import structlog

from app.core.db.session import unit_of_work
from app.core.errors import Unavailable
from app.core.jobs import Job
from app.core.jobs.outbox import MISFIRE_GRACE, enqueue_tick
from app.core.jobs.schedule import Schedule
from app.core.service import Service

log = structlog.stdlib.get_logger(__name__)

LATE = timedelta(seconds=5)
"""A process that checks the clock at least this often misses no tick, however close they are."""


class Ticker:
    """Watches the clock for one process."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.jobs = [job for job in service.jobs.values() if job.schedule]
        self.schedules = [job.schedule for job in self.jobs if job.schedule]
        self.seen: dict[str, datetime] = {}

    def following(self, now: datetime) -> datetime | None:
        """When the next job is due."""
        return min((schedule.following(now) for schedule in self.schedules), default=None)

    async def fire(self, now: datetime) -> None:
        """Enqueue due jobs, unless they already are."""
        for job in self.jobs:
            if job.schedule is None:
                continue
            for tick in recent(job.schedule, now):
                if tick < now - MISFIRE_GRACE or tick <= self.seen.get(job.name, tick - LATE):
                    continue
                try:
                    await self.enqueue(job, tick)
                    self.seen[job.name] = tick
                except Unavailable as error:
                    log.warning("tick_not_enqueued", job=job.name, error=str(error))
                except Exception:
                    log.exception("tick_not_enqueued", job=job.name)

    async def enqueue(self, job: Job[...], tick: datetime) -> None:
        """Enqueue one row, or one for each customer."""
        async with unit_of_work(self.service.database) as session:
            customers = (
                await self.service.customers(session) if job.each_customer else [nullcontext()]
            )
            for within in customers:
                with within:
                    await enqueue_tick(session, job, tick)


def recent(schedule: Schedule, now: datetime) -> list[datetime]:
    """The last tick and those shortly before it, in order."""
    ticks = [schedule.latest(now)]
    while ticks[-1] > now - LATE:
        ticks.append(schedule.latest(ticks[-1] - timedelta(microseconds=1)))
    return ticks[::-1] if len(ticks) == 1 else ticks[-2::-1]
