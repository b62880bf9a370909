"""Jobs on Celery: a real worker on each real broker."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from uuid import uuid4

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.db import migrations
from app.core.db.base import utc_now
from app.core.db.carried import SERVICE
from app.core.db.session import Database, reading, unit_of_work
from app.core.jobs.celery import CeleryQueue, CelerySettings
from app.core.jobs.celery.process import PATIENCE
from app.core.jobs.models import JobRun, JobState
from app.core.jobs.outbox import enqueue
from app.core.mail import Mail
from app.core.mail.outbox import send
from app.core.security.keys import signing_keys
from app.core.settings import Settings
from app.features.auth.jobs import forgot_password
from app.features.jobs.jobs import purge_jobs
from app.installed import JOBS
from app.service import configured_for
from conftest import PASSWORD, client_of
from tests.brokers import BROKERS, URLS, clean
from tests.inline import InlineQueue, database_of, make_due, serving
from tests.ports import free_port

SCHEDULED = [name for name, each in JOBS.items() if each.schedule]
# What the test enqueued: beat adds ticks of the service's own schedule, at some hours of the day.
ASKED_FOR = JobRun.name.not_in(SCHEDULED) | JobRun.unique_key.is_(None)


class Postbox:
    """Keeps what the mail server accepts."""

    def __init__(self) -> None:
        self.mails: list[str] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        letter = message_from_bytes(envelope.content, policy=default)
        assert isinstance(letter, EmailMessage)
        body = letter.get_body(("plain",))
        assert body
        self.mails.append(body.get_content())
        return "250 taken"


@dataclass
class Post:
    """A mail server that can be switched on and off."""

    box: Postbox
    port: int
    controller: Controller | None = None

    def open(self) -> None:
        self.controller = Controller(self.box, hostname="127.0.0.1", port=self.port)
        self.controller.start()

    def close(self) -> None:
        if self.controller:
            self.controller.stop()
            self.controller = None


@dataclass(frozen=True)
class Worker:
    """A worker process, with beat in it."""

    log: Path
    smtp_port: int
    heartbeat: Path


@pytest.fixture(scope="module", params=BROKERS)
def worker(
    request: pytest.FixtureRequest,
    settings: Settings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[Worker]:
    """One on each configured broker, with its own prefix."""
    variable = BROKERS[request.param]
    url = URLS[variable]
    if not url:
        pytest.skip(f"{variable} names no broker")
    ours = CelerySettings(broker_url=SecretStr(url), prefix=f"test-{uuid4().hex[:8]}")
    folder = tmp_path_factory.mktemp("worker")
    worker = Worker(folder / "log", free_port(), folder / "heartbeat")
    with worker.log.open("w") as output, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELERY_BROKER_URL", url)
        patch.setenv("CELERY_PREFIX", ours.prefix)
        process = subprocess.Popen(  # noqa: S603
            [
                *(sys.executable, "-m", "celery", "-A", "app.worker", "worker", "--beat"),
                *("--concurrency", "2", "--hostname", f"{ours.prefix}@%h"),
            ],
            cwd=migrations.ROOT,
            env=os.environ | environment(settings, ours, folder, worker.smtp_port),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield worker
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            clean(CeleryQueue(settings, JOBS, {CelerySettings: ours}).celery, url, ours)


def environment(
    settings: Settings, ours: CelerySettings, folder: Path, smtp_port: int
) -> dict[str, str]:
    """The worker's settings."""
    assert settings.database_url
    return {
        "CELERY_BROKER_URL": ours.broker,
        "CELERY_HEARTBEAT_FILE": str(folder / "heartbeat"),
        "CELERY_PREFIX": ours.prefix,
        "DATABASE_URL": settings.database_url.render_as_string(hide_password=False),
        "DATA_DIR": str(folder),
        "ENVIRONMENT": "test",
        "LOG_FORMAT": "json",
        "MAILER": "app.core.mail.smtp.SMTPMailer",
        "MAIL_FROM": settings.mail_from,
        "SECRET_KEY": signing_keys(settings)[0],
        "SMTP_URL": f"smtp://127.0.0.1:{smtp_port}",
    }


@dataclass
class Working:
    """A service whose jobs a worker runs."""

    database: Database
    client: AsyncClient
    log: Path
    seen: int

    def lines(self) -> list[dict[str, object]]:
        """What the worker has logged in this test."""
        found = self.log.read_text(encoding="utf-8")[self.seen :].splitlines()
        return [json.loads(line) for line in found if line.startswith("{")]

    async def states(self) -> list[str]:
        async with reading(self.database) as session:
            rows = await session.scalars(select(JobRun.state).where(ASKED_FOR).order_by(JobRun.id))
            return list(rows)


@pytest.fixture
def post(worker: Worker) -> Generator[Post]:
    """The worker's mail server, running."""
    post = Post(Postbox(), worker.smtp_port)
    post.open()
    yield post
    post.close()


@pytest.fixture
async def working(
    worker: Worker,
    post: Post,
    app: FastAPI,
    engine: AsyncEngine,
    committed_db: Database,
    settings: Settings,
) -> AsyncGenerator[Working]:
    """The service, with real commits and the worker's queue."""
    queue = CeleryQueue(settings, JOBS, configured_for())
    database = database_of(engine, settings, queue)
    seen = len(worker.log.read_text(encoding="utf-8"))
    async with client_of(app, database, settings) as client, queue.working(None):
        yield Working(database, client, worker.log, seen)


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110, other processes change it
            await asyncio.sleep(0.05)


async def test_from_registration_to_login_through_a_worker(working: Working, post: Post) -> None:
    async def written() -> bool:
        return bool(post.box.mails)

    new = {"email": "ada@example.com", "password": PASSWORD}
    answer = await working.client.post("/api/v1/auth/register", json=new)
    assert answer.status_code == 202
    await until(written)

    found = re.search(r"#token=([\w-]+)", post.box.mails[0])
    assert found
    proof = {"token": found[1], "password": PASSWORD}
    verified = await working.client.post("/api/v1/auth/verify-email", json=proof)
    assert verified.status_code == 204
    form = {"username": new["email"], "password": PASSWORD}
    assert (await working.client.post("/api/v1/auth/login", data=form)).status_code == 200

    async def logged() -> bool:
        of_request = {"event": "job", "correlation_id": answer.headers["X-Correlation-ID"]}
        lines = [line for line in working.lines() if of_request.items() <= line.items()]
        return [line["job"] for line in lines] == ["auth.register", "mail.deliver"]

    await until(logged)


async def test_a_message_that_was_lost_is_sent_again(
    working: Working, post: Post, settings: Settings
) -> None:
    async def delivered() -> bool:
        return await working.states() == [JobState.DONE] * 2

    for nudged_at in (None, utc_now() - PATIENCE):
        async with unit_of_work(working.database) as session:
            # As if the process had died after the commit.
            session.info[SERVICE] = serving(working.database, queue=InlineQueue(settings, JOBS))
            await send(session, Mail("ada@example.com", "Hello", "Hello.\n", "<p>Hello.</p>\n"))
            await session.execute(
                update(JobRun).where(JobRun.state == JobState.QUEUED).values(nudged_at=nudged_at)
            )

    await until(delivered)
    assert len(post.box.mails) == 2


async def test_a_job_that_failed_is_tried_again(working: Working, post: Post) -> None:
    async def failed() -> bool:
        async with reading(working.database) as session:
            run = (await session.scalars(select(JobRun).where(ASKED_FOR))).one()
            return (run.state, run.attempts) == (JobState.QUEUED, 1)

    async def delivered() -> bool:
        return await working.states() == [JobState.DONE]

    post.close()
    async with unit_of_work(working.database) as session:
        await send(session, Mail("ada@example.com", "Hello", "Hello.\n", "<p>Hello.</p>\n"))
    await until(failed)
    post.open()
    await make_due(working.database)

    await until(delivered)
    assert len(post.box.mails) == 1


async def test_a_worker_works_for_every_queue(working: Working, post: Post) -> None:
    async def done() -> bool:
        return await working.states() == [JobState.DONE] * 3

    async with unit_of_work(working.database) as session:
        await enqueue(session, forgot_password, email="stranger@example.com")
        await enqueue(session, purge_jobs)
        await send(session, Mail("ada@example.com", "Hello", "Hello.\n", "<p>Hello.</p>\n"))
        queues = set(await session.scalars(select(JobRun.queue).where(ASKED_FOR)))
    assert queues == {each.queue for each in JOBS.values()}

    await until(done)


async def test_a_worker_shows_that_it_lives(worker: Worker) -> None:
    async def touched() -> bool:
        return worker.heartbeat.exists() and worker.heartbeat.stat().st_mtime > 0

    for _ in range(3):
        await until(touched)
        os.utime(worker.heartbeat, (0, 0))


async def test_no_queue_waits_for_the_backlog_of_another(working: Working, post: Post) -> None:
    async with unit_of_work(working.database) as session:
        for number in range(100):
            await enqueue(session, forgot_password, email=f"{number}@example.com")
    async with unit_of_work(working.database) as session:
        await send(session, Mail("ada@example.com", "Hello", "Hello.\n", "<p>Hello.</p>\n"))

    async def delivered() -> bool:
        return bool(post.box.mails)

    await until(delivered)
    assert (await working.states()).count(JobState.QUEUED) > 20

    async def all_done() -> bool:
        return set(await working.states()) == {JobState.DONE}

    await until(all_done)
