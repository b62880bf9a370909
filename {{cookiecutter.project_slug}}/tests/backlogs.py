"""The cost of finding a due job while very many others are due, on any database."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import utc_now
from app.core.db.session import Database, unit_of_work
from app.core.jobs import job, store
from app.core.jobs.models import JobRun, JobState
from app.core.jobs.work import Work

Cost = Callable[[AsyncSession], Awaitable[int]]
"""Rows or steps that the session's connection has read so far."""

ACTS: list[Callable[[AsyncSession], Awaitable[None]]] = []
"""What queues do besides."""

CHUNK = 5000

sizes = pytest.mark.parametrize("size", [4000, pytest.param(50_000, marks=pytest.mark.slow)])


@job("backlog.bulk")
async def bulk(work: Work) -> None:
    """A job of which very many are due."""


@job("backlog.urgent", queue="urgent")
async def urgent(work: Work) -> None:
    """A job of which one is due."""


JOBS = {each.name: each for each in (bulk, urgent)}


async def fill(database: Database, size: int) -> None:
    """Jobs due for longest: of another queue, and of a newer version."""
    due_at = utc_now() - timedelta(hours=1)
    for name in ("backlog.bulk", "backlog.of_a_newer_version"):
        row: dict[str, Any] = {
            "name": name,
            "queue": "default",
            "state": JobState.QUEUED,
            "arguments": {},
        }
        for begin in range(0, size, CHUNK):
            times = range(begin, min(begin + CHUNK, size))
            rows = [{**row, "due_at": due_at + timedelta(milliseconds=n)} for n in times]
            async with unit_of_work(database) as session:
                await session.execute(insert(JobRun), rows)
    async with unit_of_work(database) as session:
        session.add(JobRun(name=urgent.name, queue="urgent", arguments={}, due_at=utc_now()))


async def assert_others_are_not_read(database: Database, cost: Cost, limit: int) -> None:
    """Claiming, and notifying a queue, cost no more than `limit`."""

    async def claim(session: AsyncSession) -> None:
        claimed = await store.claim(session, JOBS, limit=4)
        assert {run.name for run in claimed} == {bulk.name, urgent.name}

    async def claim_what_is_rare(session: AsyncSession) -> None:
        assert len(await store.claim(session, {urgent.name: urgent}, limit=4)) == 1

    for act in (claim, claim_what_is_rare, *ACTS):
        async with database.writer() as session:
            before = await cost(session)
            await act(session)
            assert await cost(session) - before <= limit, act.__name__
            await session.rollback()
