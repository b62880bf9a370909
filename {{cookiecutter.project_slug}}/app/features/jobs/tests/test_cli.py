import asyncio
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from app.core.db.session import Database, unit_of_work
from app.core.service import Service
from app.core.settings import Settings
from app.features.jobs.cli import cli
from app.features.jobs.tests.test_jobs import dead
from tests.inline import in_service, opening

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(settings: Settings) -> Invoke:
    """Run a command on the database of the tests."""

    def run(kind: Typer, arguments: list[str]) -> Result:
        return CliRunner().invoke(kind, arguments, obj=opening(settings))

    return run


@pytest.fixture
def dead_job(committed_db: Database, settings: Settings) -> UUID:
    """The id of a job that failed for the last time, in the database that the commands use."""

    async def add(service: Service) -> UUID:
        async with unit_of_work(service.database) as session:
            session.add(run := dead("mail.deliver"))
        return run.id

    return asyncio.run(in_service(settings, add))


def test_failed_jobs_are_listed_shown_and_tried_again(dead_job: UUID, invoke: Invoke) -> None:
    listed = invoke(cli, ["failed"])
    assert str(dead_job) in listed.output
    assert "mail.deliver  RuntimeError: no luck" in listed.output

    shown = invoke(cli, ["show", str(dead_job)])
    assert '"state": "dead"' in shown.output

    tried = invoke(cli, ["retry", str(dead_job)])
    assert tried.output == "1 queued for retry\n"
    assert '"state": "queued"' in invoke(cli, ["show", str(dead_job)]).output
    assert invoke(cli, ["failed"]).output == ""
    assert invoke(cli, ["retry", "--all"]).output == "0 queued for retry\n"


def test_what_cannot_be_retried_is_said(dead_job: UUID, invoke: Invoke) -> None:
    assert invoke(cli, ["retry"]).exit_code == 2
    assert invoke(cli, ["retry", "--all", str(dead_job)]).exit_code == 2
    assert "no such job" in str(invoke(cli, ["show", str(uuid4())]).exception)
