import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner

from app.core.db.session import connect, unit_of_work
from app.core.jobs.models import JobRun
from app.core.settings import Settings
from app.features.jobs.cli import cli
from app.features.jobs.tests.test_jobs import dead

run = CliRunner().invoke


@pytest.fixture
def dead_job(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Generator[UUID]:
    """The id of a job that failed for the last time, in the database that the commands use."""

    async def add(row: JobRun) -> UUID:
        async with connect(settings, {}) as database, unit_of_work(database) as session:
            session.add(row)
        return row.id

    async def remove(job_id: UUID) -> None:
        async with connect(settings, {}) as database, unit_of_work(database) as session:
            await session.delete(await session.get_one(JobRun, job_id))

    @contextmanager
    def ready(_: Settings) -> Generator[Settings]:
        yield settings

    monkeypatch.setattr(import_module("app.features.jobs.cli"), "ensure_database", ready)
    job_id = asyncio.run(add(dead("mail.deliver")))
    yield job_id
    asyncio.run(remove(job_id))


def test_failed_jobs_are_listed_shown_and_tried_again(dead_job: UUID) -> None:
    listed = run(cli, ["failed"])
    assert str(dead_job) in listed.output
    assert "mail.deliver  RuntimeError: no luck" in listed.output

    shown = run(cli, ["show", str(dead_job)])
    assert '"state": "dead"' in shown.output

    tried = run(cli, ["retry", str(dead_job)])
    assert tried.output == "1 to be tried again\n"
    assert '"state": "queued"' in run(cli, ["show", str(dead_job)]).output
    assert run(cli, ["failed"]).output == ""
    assert run(cli, ["retry", "--all"]).output == "0 to be tried again\n"


def test_what_cannot_be_retried_is_said(dead_job: UUID) -> None:
    assert run(cli, ["retry"]).exit_code == 2
    assert run(cli, ["retry", "--all", str(dead_job)]).exit_code == 2
    assert "no such job" in str(run(cli, ["show", str(uuid4())]).exception)
