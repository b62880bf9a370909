import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner

from app.core.db.session import Database, connect, unit_of_work
from app.core.settings import Settings
from app.features.jobs.cli import cli
from app.features.jobs.tests.test_jobs import dead

invoke = CliRunner().invoke


@pytest.fixture
def dead_job(committed_db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> UUID:
    """The id of a dead job, in the database that the commands use."""

    async def add() -> UUID:
        async with connect(settings, {}) as database, unit_of_work(database) as session:
            session.add(run := dead("mail.deliver"))
        return run.id

    @contextmanager
    def ready(_: Settings) -> Generator[Settings]:
        yield settings

    monkeypatch.setattr(import_module("app.features.jobs.cli"), "ensure_database", ready)
    return asyncio.run(add())


def test_failed_jobs_are_listed_shown_and_tried_again(dead_job: UUID) -> None:
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


def test_what_cannot_be_retried_is_said(dead_job: UUID) -> None:
    assert invoke(cli, ["retry"]).exit_code == 2
    assert invoke(cli, ["retry", "--all", str(dead_job)]).exit_code == 2
    assert "no such job" in str(invoke(cli, ["show", str(uuid4())]).exception)
