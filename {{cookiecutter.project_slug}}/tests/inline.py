"""Jobs and mail for tests: run at once, and kept in a list."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.db.base import utc_now
from app.core.db.session import Database, from_engine, unit_of_work
from app.core.jobs import Jobs
from app.core.jobs.models import JobRun
from app.core.jobs.runner import run_due
from app.core.mail import Mail
from app.core.settings import Settings
from app.installed import JOBS
from app.main import session_info

SENT: list[Mail] = []


async def make_due(database: Database) -> None:
    """Make the retries due."""
    async with unit_of_work(database) as session:
        waiting = update(JobRun).where(JobRun.due_at.is_not(None))
        await session.execute(waiting.values(due_at=utc_now()))


class RecordingMailer:
    """Keeps each mail instead of sending it."""

    for_development: ClassVar[bool] = True

    def __init__(self, settings: object) -> None:
        pass

    async def send(self, mail: Mail) -> None:
        SENT.append(mail)


class InlineQueue:
    """Runs enqueued jobs when `run` is called, in the same process."""

    def __init__(self, settings: Settings, jobs: Jobs) -> None:
        self.settings = settings
        self.jobs = jobs
        self.nudges: list[tuple[UUID, str]] = []

    def nudge(self, runs: Sequence[tuple[UUID, str]]) -> None:
        self.nudges += runs

    @asynccontextmanager
    async def working(self, info: object) -> AsyncGenerator[None]:
        yield

    async def check(self) -> dict[str, str]:
        return {}

    async def run(self, database: Database) -> None:
        """Run everything that is due, and what it enqueues."""
        while self.nudges:
            self.nudges.clear()
            await run_due(database, self.settings, self.jobs)


def database_of(engine: AsyncEngine, settings: Settings) -> Database:
    """Production sessions over this engine; jobs run as soon as a request has ended."""
    return from_engine(engine, settings, session_info(settings, InlineQueue(settings, JOBS)))
