"""Requests and jobs that call another service."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest
from httpx2 import AsyncClient, Request, Response
from sqlalchemy import QueuePool, select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.db.session import Database, reading, unit_of_work
from app.core.feature import Feature
from app.core.jobs import job, store
from app.core.jobs.models import JobRun
from app.core.jobs.outbox import enqueue
from app.core.jobs.runner import execute, run_due
from app.core.jobs.work import Work
from app.core.outbound import Destination
from app.core.outbound.failures import OutboundFailed
from app.core.routing import SERVICE, router as new_router
from app.core.security.access import public
from app.core.service import Service, ServiceDep
from app.core.settings import Settings
from app.core.telemetry import Telemetry
from app.features import audit
from app.features.audit.models import AuditEvent
from app.installed import FEATURES
from app.main import create_app
from app.service import running
from conftest import client_over
from tests.inline import InlineQueue, make_due, service_over, serving
from tests.partners import Answer, Partner, hang, reply, reset

PARTNER = Destination(
    name="secret-partner", timeout_seconds=30, attempts=2, backoff_seconds=0.01, failures=0
)
partner = Partner(reply())
router = new_router("/partner", tag="partner", about=SERVICE)
watched: list[object] = []


@router.get("", dependencies=[public])
async def read_partner(service: ServiceDep) -> int:
    """The status of the partner."""
    response = await service.outbound.call(
        replace(PARTNER, base_url=partner.url), "GET", "/x?key=secret"
    )
    return response.status_code


@contextmanager
def watch(request: Request) -> Generator[Callable[[Response], None]]:
    """Sees each attempt, as tracing does."""
    request.headers["Traceparent"] = "00-1-1-01"
    watched.append(request.extensions["destination"])
    try:
        yield lambda response: watched.append(response.status_code)
    except OutboundFailed as failure:
        watched.append(type(failure).__name__)
        raise


@asynccontextmanager
async def opened() -> AsyncGenerator[None]:
    """Nothing is needed for it."""
    yield


feature = Feature(
    router=router, telemetry=lambda settings, kinds: Telemetry(open=opened, outbound=watch)
)


@job("test.calls", retries=3, time_limit=timedelta(seconds=5), backoff=timedelta(0))
async def calls(work: Work) -> None:
    """Reads, calls, and writes."""
    async with work.reading() as session:
        known = len((await session.scalars(select(AuditEvent.id).limit(1))).all())
    await work.service.outbound.call(
        replace(PARTNER, base_url=partner.url, attempts=1),
        "POST",
        f"/{known}",
        headers={"Idempotency-Key": str(work.id)},
    )
    audit.record(work.session, "called", "test", None)


JOBS = {calls.name: calls}


@pytest.fixture(autouse=True)
async def listening() -> AsyncGenerator[None]:
    """The partner, which has forgotten everything."""
    partner.usual, partner.script = reply(), []
    partner.asked.clear()
    watched.clear()
    async with partner.listening():
        yield


@pytest.fixture
async def client(database: Database, settings: Settings) -> AsyncGenerator[AsyncClient]:
    """A client of a service with that feature, whose requests end after three seconds."""
    short = settings.model_copy(update={"request_timeout": 3})
    features = [*FEATURES, feature]
    service = service_over(database, short, features=features)
    async with client_over(create_app(short, features), service) as client:
        yield client
    await service.outbound.close()


@pytest.fixture
async def service(committed_db: Database) -> AsyncGenerator[Service]:
    """A service with that job."""
    service = serving(committed_db, jobs=JOBS)
    yield service
    await service.outbound.close()


@pytest.mark.parametrize(
    ("answer", "status", "seen"),
    [(reply(500), 502, 500), (reset, 502, None), (reply(429), 503, 429), (hang, 504, None)],
)
async def test_clients_learn_only_that_it_may_work_later(
    client: AsyncClient, answer: Answer, status: int, seen: int | None
) -> None:
    partner.usual = answer

    response = await client.get("/api/v1/partner")

    assert response.status_code == status
    assert response.headers["Retry-After"] == "5"
    problem = response.json()
    assert (
        problem["detail"]
        == "A service that this request depends on is unavailable. Try again later."
    )
    assert "secret" not in response.text
    assert str(partner.port) not in response.text
    assert (seen in watched) is (seen is not None)


async def test_each_attempt_is_watched_and_may_be_given_headers(client: AsyncClient) -> None:
    partner.script = [reset, reply(200)]

    response = await client.get("/api/v1/partner", headers={"X-Correlation-ID": "order-4711"})

    assert response.json() == 200
    assert watched == ["secret-partner", "DestinationFailed", "secret-partner", 200]
    for asked in partner.asked:
        assert asked.headers["traceparent"] == "00-1-1-01"
        assert asked.headers["x-correlation-id"] == "order-4711"


async def test_the_service_closes_its_connections_last(settings: Settings) -> None:
    queue = InlineQueue(settings, JOBS)
    async with running(settings, work=False, queue=queue) as service:
        await service.outbound.call(replace(PARTNER, base_url=partner.url), "GET", "/")
    with pytest.raises(RuntimeError, match="closed"):
        await service.outbound.call(replace(PARTNER, base_url=partner.url), "GET", "/")


async def effects(database: Database) -> Sequence[str]:
    """What was written."""
    async with reading(database) as session:
        events = select(AuditEvent.action).where(AuditEvent.object_type == "test")
        return (await session.scalars(events)).all()


async def test_a_job_that_waits_for_a_partner_holds_no_connection(
    service: Service, engine: AsyncEngine
) -> None:
    held = list[int]()

    async def look(writer: asyncio.StreamWriter) -> None:
        held.append(cast("QueuePool", engine.sync_engine.pool).checkedout())
        await reply()(writer)

    partner.usual = look
    async with unit_of_work(service.database) as session:
        await enqueue(session, calls)

    await run_due(service)

    assert held == [0]
    assert await effects(service.database) == ["called"]


async def test_a_job_is_retried_with_the_same_key_and_writes_once(service: Service) -> None:
    partner.script = [reply(503), reset]
    async with unit_of_work(service.database) as session:
        id = await enqueue(session, calls)  # noqa: A001

    for _ in range(5):
        await make_due(service.database)
        await run_due(service)

    async with reading(service.database) as session:
        run = (await session.scalars(select(JobRun))).one()
    assert (run.state, run.attempts) == ("done", 3)
    assert [asked.headers["idempotency-key"] for asked in partner.asked] == 3 * [str(id)]
    assert await effects(service.database) == ["called"]


async def test_an_attempt_that_lost_its_lease_while_it_waited_writes_nothing(
    service: Service,
) -> None:
    waits, goes_on = asyncio.Event(), asyncio.Event()

    async def wait(writer: asyncio.StreamWriter) -> None:
        waits.set()
        await goes_on.wait()
        await reply()(writer)

    partner.script = [wait]
    async with unit_of_work(service.database) as session:
        await enqueue(session, calls)
    async with unit_of_work(service.database) as session:
        (run,) = await store.claim(session, JOBS, limit=1)
    stale = asyncio.create_task(execute(service, calls, run))
    await waits.wait()
    await make_due(service.database)

    await run_due(service)
    goes_on.set()
    await stale

    assert len({asked.headers["idempotency-key"] for asked in partner.asked}) == 1
    assert len(partner.asked) == 2
    assert await effects(service.database) == ["called"]


async def test_a_call_ends_before_the_job_is_stopped(service: Service) -> None:
    partner.usual = hang
    hasty = replace(calls, time_limit=timedelta(seconds=1), retries=0)
    async with unit_of_work(service.database) as session:
        await enqueue(session, hasty)

    await run_due(replace(service, jobs={hasty.name: hasty}))

    async with reading(service.database) as session:
        run = (await session.scalars(select(JobRun))).one()
    assert run.error == "DestinationTooSlow: secret-partner did not answer in time"


@pytest.mark.slow
def test_a_service_that_calls_no_other_imports_no_client() -> None:
    code = "import app.main, app.core.mail.smtp, sys; sys.exit('httpx2' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)  # noqa: S603
