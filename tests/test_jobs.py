"""Jobs of a baked service, while its processes get SIGKILL and its broker loses everything."""

import json
import random
import subprocess
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.ports import free_port
from tests.processes import kill, mysql_database, start, start_database, until, wait_for
from tests.template import Answers, bake_with_cookiecutter, run, server

JOBS = 1000
KILLS = 5
TICKS = 30

# A feature as a user would add it: a folder, and two lines in the list of features.
FACE = '''"""The jobs of this test."""

from app.core.feature import Feature
from app.features.probe.jobs import {job}

feature = Feature(jobs=({job},))
'''
COUNT = '''"""Leaves one trace for each number."""

import asyncio
from datetime import timedelta

from app.core.jobs import job
from app.core.jobs.work import Work
from app.features import audit


@job(
    "probe.count",
    retries=50,
    backoff=timedelta(seconds=1),
    max_backoff=timedelta(seconds=2),
    time_limit=timedelta(seconds=5),
)
async def count(work: Work, *, number: int) -> None:
    """Pause in the middle, so that there is something to interrupt."""
    audit.record(work.session, "probe.counted", "probe", None, after={"number": number})
    await work.session.flush()
    await asyncio.sleep(0.05)
'''
TICK = '''"""Leaves one trace for each second."""

from app.core.jobs import job
from app.core.jobs.schedule import every
from app.core.jobs.work import Work
from app.features import audit


@job("probe.tick", schedule=every(seconds=1))
async def tick(work: Work) -> None:
    """Record the call."""
    audit.record(work.session, "probe.ticked", "probe", None)
'''
ENQUEUE = """
import asyncio, sys
from app.core.db.session import unit_of_work
from app.core.jobs.outbox import enqueue
from app.core.settings import Settings
from app.features.probe.jobs import count
from app.service import running

async def main():
    async with running(Settings(), work=False) as service:
        for start in range(0, int(sys.argv[1]), 50):
            async with unit_of_work(service.database) as session:
                for number in range(start, start + 50):
                    await enqueue(session, count, number=number)

asyncio.run(main())
"""
REPORT = """
import asyncio, json
from sqlalchemy import func, select
from app.core.db.session import connect, reading
from app.core.jobs.models import JobRun
from app.core.settings import Settings
from app.features.audit.models import AuditEvent

async def main():
    async with connect(Settings()) as database, reading(database) as session:
        states = select(JobRun.state, func.count(), func.max(JobRun.attempts))
        found = await session.execute(states.where(JobRun.name.like("probe.%")).group_by(JobRun.state))
        rows = {state: [count, attempts] for state, count, attempts in found}
        events = select(AuditEvent.action, AuditEvent.after, AuditEvent.created_at)
        traces = (await session.execute(events.where(AuditEvent.object_type == "probe"))).all()
    print(json.dumps({
        "states": {state: count for state, (count, _) in rows.items()},
        "attempts": max([attempts for _, attempts in rows.values()], default=0),
        "numbers": sorted(trace.after["number"] for trace in traces if trace.after),
        "traces": len(traces),
    }))

asyncio.run(main())
"""


@dataclass
class Service:
    """A project with a probe in it, and a database of its own."""

    project: Path
    folder: Path
    environ: dict[str, str]

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        program = self.project / ".venv" / "bin" / command[0]
        return start(
            program, *command[1:], cwd=self.project, log=self.folder / "log", **self.environ
        )

    def run(self, code: str, *arguments: str) -> str:
        python = self.project / ".venv/bin/python"
        return run(python, "-c", code, *arguments, cwd=self.project, **self.environ).stdout

    def report(self) -> dict[str, Any]:
        return json.loads(self.run(REPORT).splitlines()[-1])


def add_probe(project: Path, job: str, source: str) -> None:
    """Write the feature."""
    folder = project / "app" / "features" / "probe"
    folder.mkdir()
    (folder / "__init__.py").write_text(FACE.format(job=job))
    (folder / "jobs.py").write_text(source)
    register = project / "app" / "installed.py"
    text = register.read_text(encoding="utf-8")
    text = text.replace("    health,\n", "    health,\n    probe,\n")
    text = text.replace("    health.feature,\n", "    health.feature,\n    probe.feature,\n")
    register.write_text(text, encoding="utf-8")


@contextmanager
def serving(
    template: Path, folder: Path, answers: Answers, job: str, source: str, **environ: str
) -> Generator[Service]:
    """Bake, install, add the probe, migrate."""
    project = bake_with_cookiecutter(template, folder, answers)
    add_probe(project, job, source)
    run("uv", "sync", "--quiet", cwd=project)
    with ExitStack() as stack:
        if answers["database"] == "postgresql":
            url, pid = start_database(project, folder / "data")
            stack.callback(subprocess.run, ["kill", "-QUIT", str(pid)], check=True)
        else:
            url = stack.enter_context(mysql_database(project))
        common = {"DATABASE_URL": url, "DATA_DIR": str(folder), "LOG_LEVEL": "WARNING"}
        service = Service(project, folder, common | environ)
        run(project / ".venv/bin/app", "db", "upgrade", cwd=project, **service.environ)
        yield service


def finish(service: Service) -> None:
    """Every job is done, and has left exactly one trace."""
    until(lambda: service.report()["states"] == {"done": JOBS})
    report = service.report()
    assert report["numbers"] == list(range(JOBS))
    assert report["traces"] == JOBS
    assert report["attempts"] > 1  # something was really interrupted


def progress(service: Service, more: int = 60) -> None:
    """Wait until this many more are done, or all."""
    begun = service.report()["states"].get("done", 0)
    wanted = min(begun + more, JOBS)
    until(lambda: service.report()["states"].get("done", 0) >= wanted)
    time.sleep(random.uniform(0, 0.3))  # noqa: S311


@pytest.mark.xdist_group("jobs-local")
def test_in_the_web_service_no_job_is_lost_or_done_twice(template: Path, tmp_path: Path) -> None:
    answers = {"database": "mysql", "use_celery": False, "include_example": False}
    with serving(template, tmp_path, answers, "count", COUNT) as service:
        service.run(ENQUEUE, str(JOBS))
        for _ in range(KILLS):
            process = service.start("app", "serve", "--port", str(free_port()))
            try:
                progress(service)
            finally:
                kill(process)
        process = service.start("app", "serve", "--port", str(free_port()))
        try:
            finish(service)
        finally:
            kill(process)


@pytest.mark.xdist_group("jobs-celery")
def test_on_celery_no_job_is_lost_or_done_twice(template: Path, tmp_path: Path) -> None:
    """The worker gets SIGKILL five times, and the broker once: it comes back empty."""
    answers = {"database": "postgresql", "use_celery": True, "include_example": False}
    port = free_port()
    broker = {
        "CELERY_BROKER_URL": f"redis://127.0.0.1:{port}/0",
        "JOB_QUEUE": "app.core.jobs.celery.CeleryQueue",
    }
    redis = ["redis-server", "--port", str(port), "--save", "", "--appendonly", "no"]
    worker = ["celery", "-A", "app.worker", "worker", "--concurrency", "4"]
    with serving(template, tmp_path, answers, "count", COUNT, **broker) as service:
        processes = {"redis": start(*redis, cwd=tmp_path, log=tmp_path / "redis")}
        try:
            processes["beat"] = service.start("celery", "-A", "app.worker", "beat")
            service.run(ENQUEUE, str(JOBS))
            for number in range(KILLS):
                processes["worker"] = service.start(*worker)
                progress(service)
                kill(processes["worker"])
                if number == KILLS // 2:
                    kill(processes["redis"])
                    processes["redis"] = start(*redis, cwd=tmp_path, log=tmp_path / "redis")
            processes["worker"] = service.start(*worker)
            finish(service)
        finally:
            for process in processes.values():
                if process.poll() is None:
                    kill(process)


def assert_ticked(service: Service) -> None:
    """From now on, each second has its trace, and none has two."""
    until(lambda: service.report()["traces"] > 0)
    first, begun = service.report()["traces"], time.monotonic()
    time.sleep(TICKS + 1)
    report, passed = service.report(), time.monotonic() - begun
    assert TICKS <= report["traces"] - first <= passed + 2
    assert report["attempts"] == 1

    def one_for_each() -> bool:
        now = service.report()  # while the ticks go on
        return now["states"] == {"done": now["traces"]}

    until(one_for_each, 20)


@pytest.mark.xdist_group("jobs-local")
def test_two_servers_fire_each_tick_once(template: Path, tmp_path: Path) -> None:
    answers = {"database": "postgresql", "use_celery": False, "include_example": False}
    ports = [free_port(), free_port()]
    with serving(template, tmp_path, answers, "tick", TICK) as service:
        processes = [service.start("app", "serve", "--port", str(port)) for port in ports]
        try:
            for port in ports:
                wait_for(f"http://127.0.0.1:{port}/health/ready", 200)
            assert_ticked(service)
        finally:
            for process in processes:
                kill(process)


@pytest.mark.xdist_group("jobs-celery")
def test_two_beats_fire_each_tick_once(template: Path, tmp_path: Path) -> None:
    """Only the job table prevents duplicate work."""
    answers = {"database": "mysql", "use_celery": True, "include_example": False}
    broker = {
        "CELERY_BROKER_URL": server("TEST_AMQP_URL"),
        "CELERY_PREFIX": f"test-{uuid4().hex[:8]}",
        "JOB_QUEUE": "app.core.jobs.celery.CeleryQueue",
    }
    beat = ["celery", "-A", "app.worker", "beat"]
    with serving(template, tmp_path, answers, "tick", TICK, **broker) as service:
        processes = [service.start("celery", "-A", "app.worker", "worker", "--concurrency", "2")]
        try:
            processes += [service.start(*beat) for _ in range(2)]
            assert_ticked(service)
        finally:
            for process in processes:
                kill(process)
            service.run(
                "from app.worker import celery\n"
                "with celery.connection_for_write() as connection:\n"
                "    for queue in celery.conf.task_queues:\n"
                "        connection.default_channel.queue_delete(queue.name)\n"
            )


def test_features_do_not_know_what_runs_their_jobs(template: Path, tmp_path: Path) -> None:
    made = [
        bake_with_cookiecutter(template, tmp_path / str(celery), {"use_celery": celery})
        for celery in (True, False)
    ]
    folders = [str(project / "app" / "features") for project in made]

    run("diff", "--recursive", *folders, cwd=tmp_path)
