"""Jobs on Celery, from the service's side: the messages it sends, also to a broker that is unavailable.

No worker runs beside these tests: it would run the jobs whose messages they hold back.
"""

import asyncio
import gc
import socket
import threading
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from celery import Celery
from celery.beat import Scheduler
from fastapi import FastAPI
from kombu import Connection
from kombu.utils.imports import symbol_by_name
from pydantic import SecretStr, ValidationError
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.db.base import utc_now
from app.core.db.session import Database, from_engine, reading, unit_of_work
from app.core.jobs import celery, job
from app.core.jobs.celery import CeleryQueue, CelerySettings, store
from app.core.jobs.celery.application import RELAY, make_celery
from app.core.jobs.celery.process import BATCH, PATIENCE, Process
from app.core.jobs.local import LocalQueue
from app.core.jobs.models import JobRun, JobState
from app.core.jobs.outbox import enqueue, enqueue_at
from app.core.jobs.work import Work
from app.core.service import Service
from app.core.settings import Environment, Settings
from app.features.jobs.jobs import purge_jobs
from app.installed import JOBS
from app.service import compose, configured_for, running
from conftest import client_of
from tests.brokers import URLS, clean
from tests.databases import NO_FILE
from tests.inline import database_of


@pytest.fixture(params=["refuses", "is silent"])
def nowhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """The broker is unavailable: its port is closed, or it is silent."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if request.param == "is silent":
            silent.listen()
        port = silent.getsockname()[1]
        monkeypatch.setenv("CELERY_BROKER_URL", f"redis://127.0.0.1:{port}/0")
        yield


@job("relay.bulk")
async def bulk(work: Work) -> None:
    """There is much of it."""


@job("relay.rare", queue="rare")
async def rare(work: Work) -> None:
    """There is little of it."""


RELAYED = {each.name: each for each in (bulk, rare)}  # unknown to a worker of another test


@pytest.mark.parametrize("variable", URLS)
async def test_the_relay_sends_a_batch_of_each_queue_and_nothing_that_still_waits(
    variable: str, committed_db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = URLS[variable] or pytest.skip(f"{variable} names no broker")
    monkeypatch.setenv("CELERY_BROKER_URL", url)
    monkeypatch.setenv("CELERY_PREFIX", f"test-{uuid4().hex[:8]}")
    queue = CeleryQueue(settings, RELAYED, configured_for())
    for name, count in (
        (bulk.name, BATCH + 50),
        ("relay.of_another_version", BATCH),
        (rare.name, 1),
    ):
        row: dict[str, Any] = {"name": name, "queue": "default", "arguments": {}}
        async with unit_of_work(committed_db) as session:
            await session.execute(insert(JobRun), [{**row, "due_at": utc_now()}] * count)
    celery = make_celery(queue.ours, RELAYED)
    try:
        with celery.connection_for_write() as connection:
            for each in celery.conf.task_queues:  # as a worker does when it starts
                each(connection.default_channel).declare()

            await asyncio.to_thread(look_once, settings, queue)
            assert sizes(celery, connection) == {"default": BATCH, "rare": 1, "relay": 0}

            async with unit_of_work(committed_db) as session:
                told = update(JobRun).where(JobRun.nudged_at.is_not(None))
                await session.execute(told.values(nudged_at=utc_now() - 2 * PATIENCE))
            await asyncio.to_thread(look_once, settings, queue)
            assert sizes(celery, connection) == {"default": BATCH + 50, "rare": 1, "relay": 0}
    finally:
        clean(celery, url, queue.ours)


def look_once(settings: Settings, queue: CeleryQueue) -> None:
    """The task that beat sends to a worker each second."""

    @asynccontextmanager
    async def opening() -> AsyncGenerator[Service]:
        async with running(settings, work=False, queue=queue) as service:
            yield replace(service, jobs=RELAYED)

    process = Process(queue, opening)
    process.relay()
    process.close()


def sizes(celery: Celery, connection: Connection) -> dict[str, int]:
    """How many messages wait in each queue."""
    counted: dict[str, int] = {}
    for queue in celery.conf.task_queues:
        declared = queue(connection.default_channel).queue_declare()
        counted[queue.name.rpartition(".")[2]] = declared.message_count
    return counted


async def test_an_unavailable_broker_delays_no_request(
    app: FastAPI,
    engine: AsyncEngine,
    committed_db: Database,
    settings: Settings,
    nowhere: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = CeleryQueue(settings, JOBS, configured_for())
    database = database_of(engine, settings, queue)
    async with queue.working(None), client_of(app, database, settings) as client:
        for _ in range(3):
            wanted = {"email": "ada@example.com"}
            answer = await client.post("/api/v1/auth/forgot-password", json=wanted)
            assert answer.status_code == 202

        ready = await client.get("/health/ready")
        await asyncio.to_thread(queue.checker.shutdown)  # it may still be looking
    gc.collect()

    assert not [each for each in caplog.records if each.name == "asyncio"]
    assert ready.status_code == 503
    assert ready.json()["checks"] == {"database": "ok", "broker": "unreachable"}
    async with reading(database) as session:
        states = (await session.scalars(select(JobRun.state))).all()
    assert states == [JobState.QUEUED] * 3


async def test_a_broker_that_does_not_answer_is_unreachable_soon(
    settings: Settings,
    nowhere: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = CeleryQueue(settings, JOBS, configured_for())
    answers = threading.Event()

    def reach() -> str:
        answers.wait(10)
        return ""

    monkeypatch.setattr(queue, "reach", reach)
    monkeypatch.setattr("app.core.jobs.celery.ANSWER", 0.05)
    try:
        found = await queue.check()
        assert not answers.is_set()
    finally:
        answers.set()
        await asyncio.to_thread(queue.checker.shutdown)

    assert found == {"broker": "unreachable"}
    assert "'event': 'not_ready'" in caplog.text


async def test_what_waits_to_be_sent_is_sent_before_the_end(
    settings: Settings, nowhere: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = CeleryQueue(settings, JOBS, configured_for())
    broker_answers = threading.Event()
    sent: list[UUID] = []

    def send(runs: Sequence[tuple[UUID, str]]) -> None:
        assert broker_answers.wait(10)
        sent.extend(run_id for run_id, _ in runs)

    monkeypatch.setattr(queue, "send", send)
    ids = [uuid4(), uuid4()]
    async with queue.working(None):
        for run_id in ids:
            queue.nudge([(run_id, purge_jobs.name)])
        asyncio.get_running_loop().call_soon(broker_answers.set)

    assert sent == ids


async def test_a_broker_that_is_slow_gets_a_limited_number_of_messages(
    settings: Settings, nowhere: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The relay sends the rest."""
    monkeypatch.setattr(celery, "UNSENT", 2)
    queue = CeleryQueue(settings, JOBS, configured_for())
    broker_answers = threading.Event()
    sent: list[UUID] = []

    def send(runs: Sequence[tuple[UUID, str]]) -> None:
        assert broker_answers.wait(10)
        sent.extend(run_id for run_id, _ in runs)

    monkeypatch.setattr(queue, "send", send)
    ids = [uuid4() for _ in range(3)]
    async with queue.working(None):
        for run_id in ids:
            queue.nudge([(run_id, purge_jobs.name)])
        broker_answers.set()

    assert sent == ids[:2]
    assert queue.waiting == 0


def test_a_broker_that_fails_is_left_alone_for_a_while(
    settings: Settings, nowhere: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = CeleryQueue(settings, JOBS, configured_for())
    clock: list[float] = []
    attempts: list[float] = []

    def send(runs: object) -> None:
        attempts.append(clock[-1])
        raise ConnectionError

    monkeypatch.setattr(queue, "send", send)
    monkeypatch.setattr(celery, "monotonic", lambda: clock[-1])
    for seconds in (100.0, 104.9, 105.0, 109.9):
        clock.append(seconds)
        queue.nudge([(uuid4(), purge_jobs.name)])
        queue.thread.submit(int).result(10)  # whatever was to be sent is over
    queue.nudge([])
    queue.thread.shutdown()

    assert attempts == [100.0, 105.0]


async def test_the_relay_asks_no_broker_while_nothing_waits(
    committed_db: Database, settings: Settings, nowhere: None
) -> None:
    queue = CeleryQueue(settings, RELAYED, configured_for())

    await asyncio.to_thread(look_once, settings, queue)


def test_the_prefix_of_queues_is_not_empty() -> None:
    with pytest.raises(ValidationError):
        CelerySettings(**NO_FILE, prefix="")
    assert CelerySettings(**NO_FILE, prefix="x").prefix == "x"


def test_beat_keeps_no_file() -> None:
    """Its folder may be read-only; what is due is in the table."""
    scheduler = make_celery(CelerySettings(**NO_FILE), JOBS).conf.beat_scheduler

    assert symbol_by_name(scheduler) is Scheduler


async def test_clocks_that_differ_a_little_delay_no_message(committed_db: Database) -> None:
    async def told_of(run_id: UUID | None) -> bool:
        assert run_id
        async with unit_of_work(committed_db) as session:
            return await store.claim_one(session, JOBS, run_id) is not None

    async with unit_of_work(committed_db) as session:
        run_id = await enqueue(session, purge_jobs)
        await session.execute(update(JobRun).values(due_at=utc_now() + timedelta(seconds=5)))
    assert await told_of(run_id)
    assert not await told_of(run_id)  # its lease has not ended

    async with unit_of_work(committed_db) as session:
        later = await enqueue_at(session, utc_now() + timedelta(hours=1), purge_jobs)
    assert not await told_of(later)
    assert not await told_of(uuid4())


@pytest.mark.parametrize(
    ("environment", "broker", "expected"),
    [
        (Environment.LOCAL, "", LocalQueue),
        (Environment.LOCAL, "redis://127.0.0.1:1/0", CeleryQueue),
        (Environment.PRODUCTION, "", CeleryQueue),
    ],
)
def test_celery_is_the_default_unless_a_developer_names_no_broker(
    engine: AsyncEngine,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    environment: Environment,
    broker: str,
    expected: type,
) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", broker)
    default = settings.model_copy(update={"environment": environment, "job_queue": None})

    assert isinstance(compose(default, from_engine(engine, default)).queue, expected)


def test_jobs_are_ordinary_tasks(nowhere: None) -> None:
    from app.worker import celery  # noqa: PLC0415, it reads the settings of the process

    ours = {name for name in celery.tasks if not name.startswith("celery.")}
    assert ours == {*JOBS, RELAY}
    assert all(celery.tasks[name].time_limit for name in JOBS)


@pytest.mark.parametrize(
    ("url", "limits"),
    [
        ("redis://127.0.0.1:1/0", {"socket_timeout"}),
        ("amqp://127.0.0.1:1", {"read_timeout", "write_timeout"}),
    ],
)
def test_only_what_publishes_waits_no_longer_than_a_while(url: str, limits: set[str]) -> None:
    ours = CelerySettings(**NO_FILE, broker_url=SecretStr(url), prefix="ours")
    options = {
        patient: make_celery(ours, JOBS, patient=patient).conf.broker_transport_options
        for patient in (True, False)
    }

    assert options[False].keys() - options[True].keys() == limits
    assert options[True].items() <= options[False].items()


def test_redis_redelivers_no_message_of_a_job_that_may_still_run() -> None:
    ours = CelerySettings(**NO_FILE, broker_url=SecretStr("redis://127.0.0.1:1/0"))
    longest = max(each.time_limit for each in JOBS.values()).total_seconds()

    options = make_celery(ours, JOBS).conf.broker_transport_options

    assert options["visibility_timeout"] > longest


def test_services_that_share_a_broker_do_not_control_each_other() -> None:
    ours = CelerySettings(**NO_FILE, prefix="ours")
    conf = make_celery(ours, JOBS).conf

    assert (conf.control_exchange, conf.event_exchange) == ("ours.control", "ours.events")
    routes = {name: conf.task_routes[name]["queue"] for name in JOBS}
    assert routes == {name: f"ours.{job.queue}" for name, job in JOBS.items()}
