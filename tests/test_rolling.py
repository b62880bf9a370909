"""A rolling deployment: the release before and the one after work on one database, with jobs of both in its queue."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from tests.ports import free_port
from tests.processes import running, start_database, until, wait_for
from tests.template import Answers, run
from tests.test_jobs import add_probe

Installed = Callable[[Answers], Path]
JOBS = '''"""Jobs whose arguments change from release to release."""

from app.core.jobs import job
from app.core.jobs.work import Work
from app.features import audit


@job("probe.count")
async def count(work: Work, *, number: int{more}) -> None:
    """Record the arguments."""
    audit.record(work.session, "probe.counted", "probe", None, after={after})
'''
LATER = '''

@job("probe.later")
async def later(work: Work, *, number: int) -> None:
    """Record the argument; the release before does not know this job."""
    audit.record(work.session, "probe.later", "probe", None, after={"number": number, "word": "new"})
'''
OLD = JOBS.format(more="", after='{"number": number}')
NEW = JOBS.format(more=', word: str = "none"', after='{"number": number, "word": word}') + LATER
COLUMN = "    nickname: Mapped[str | None] = mapped_column(String(50))\n"
ENQUEUE = """
import asyncio, json, sys
from app.core.db.session import unit_of_work
from app.core.jobs.outbox import enqueue
from app.core.settings import Settings
from app.features.probe import jobs
from app.service import running

async def main():
    async with running(Settings(), work=False) as service, unit_of_work(service.database) as session:
        await enqueue(session, getattr(jobs, sys.argv[1]), **json.loads(sys.argv[2]))

asyncio.run(main())
"""
TRACES = """
import asyncio, json
from sqlalchemy import select
from app.core.db.session import connect, reading
from app.core.settings import Settings
from app.features.audit.models import AuditEvent

async def main():
    async with connect(Settings()) as database, reading(database) as session:
        found = await session.scalars(select(AuditEvent.after).where(AuditEvent.object_type == "probe"))
        print(json.dumps(sorted(found, key=lambda each: each["number"])))

asyncio.run(main())
"""


class Release:
    """A version of the project, on the common database."""

    def __init__(self, project: Path, python: Path, environ: dict[str, str]) -> None:
        self.project = project
        self.python = python
        self.environ = environ
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"

    def app(self, *command: str) -> None:
        """Run a command of it."""
        run(self.python, "-m", "app", *command, cwd=self.project, **self.environ)

    def enqueue(self, job: str, **arguments: object) -> None:
        """Enqueue one of its jobs."""
        given = (job, json.dumps(arguments))
        run(self.python, "-c", ENQUEUE, *given, cwd=self.project, **self.environ)

    def traces(self) -> list[dict[str, object]]:
        """What jobs have recorded."""
        return json.loads(
            run(self.python, "-c", TRACES, cwd=self.project, **self.environ).stdout.splitlines()[-1]
        )

    def serving(self, stack: ExitStack) -> None:
        """Start it; it ends with the stack."""
        serve = ("-m", "app", "serve", "--host", "127.0.0.1", "--port", str(self.port))
        log = self.project / "log"
        stack.enter_context(running(self.python, *serve, cwd=self.project, log=log, **self.environ))


def releases(template: Path, folder: Path, environ: dict[str, str]) -> tuple[Release, Release]:
    """The release before, and one with a column, an argument and a job more."""
    python = template / ".venv/bin/python"
    skipped = shutil.ignore_patterns(".venv", ".data", "__pycache__", ".git")
    for name, jobs in (("old", OLD), ("new", NEW)):
        shutil.copytree(template, folder / name, ignore=skipped)
        add_probe(folder / name, "count", jobs)
    face = folder / "new/app/features/probe/__init__.py"
    face.write_text(
        face.read_text()
        .replace("count", "count, later")
        .replace("(count, later,)", "(count, later)")
    )
    models = folder / "new/app/features/users/models.py"
    text = models.read_text()
    at = text.index("    full_name:")
    models.write_text(text[:at] + COLUMN + text[at:])
    old, new = (Release(folder / name, python, environ) for name in ("old", "new"))
    return old, new


@pytest.mark.xdist_group("outage")
def test_two_releases_work_on_one_database(installed: Installed, tmp_path: Path) -> None:
    project = installed({"database": "postgresql", "include_example": True})
    url, pid = start_database(project, tmp_path / "data")
    environ = {"DATABASE_URL": url, "DATA_DIR": str(tmp_path), "JOB_POLL_SECONDS": "0.2"}
    try:
        old, new = releases(project, tmp_path, environ)
        old.app("db", "upgrade")
        old.enqueue("count", number=1)
        new.app("db", "revision", "-m", "nickname")

        with ExitStack() as stack:
            new.serving(stack)
            behind = wait_for(f"{new.base}/health/ready", 503)
            assert behind.json()["checks"] == {"database": "not migrated: run `app db upgrade`"}
            assert httpx2.get(f"{new.base}/health/startup").status_code == 503
            assert httpx2.get(f"{new.base}/health/live").status_code == 200
            new.app("db", "upgrade")
            wait_for(f"{new.base}/health/ready", 200)
            assert httpx2.get(f"{new.base}/health/startup").status_code == 200
            until(lambda: new.traces() == [{"number": 1, "word": "none"}])

        with ExitStack() as stack:
            old.serving(stack)
            ahead = wait_for(f"{old.base}/health/ready", 200).json()["checks"]["database"]
            assert ahead.startswith("ok: migrated by a newer release, to ")
            new.enqueue("later", number=3)
            new.enqueue("count", number=2, word="new")
            until(lambda: old.traces()[1:] == [{"number": 2}])
            account = {"email": "ada@example.com", "password": "correct horse battery staple"}
            register = f"{old.base}/api/v1/auth/register"
            assert httpx2.post(register, json=account).status_code == 202

            new.serving(stack)
            until(lambda: new.traces()[2:] == [{"number": 3, "word": "new"}])
            assert wait_for(f"{old.base}/health/ready", 200)
    finally:
        os.kill(pid, signal.SIGQUIT)
