"""One trace from a request to the last statement of its jobs, as a collector receives it."""

import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from httpx2 import AsyncClient

from app.core.carriers import CARRIERS, described
from app.core.db.session import Database
from app.core.service import Service
from app.core.settings import Settings
from app.features.tracing import export
from app.installed import FEATURES
from app.main import create_app
from conftest import client_over
from tests import observed
from tests.receivers import Span, receiving

SERVER, CLIENT, CONSUMER = 2, 3, 5
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLS = "/api/v1/observed/calls"


@dataclass(frozen=True)
class Traced:
    """A service whose spans are exported when it stops."""

    service: Service
    client: AsyncClient


Open = Callable[..., AbstractAsyncContextManager[Traced]]


@pytest.fixture
def opened(committed_db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens the service as its process does, with these settings of tracing."""

    @asynccontextmanager
    async def open_it(endpoint: str, **more: str) -> AsyncGenerator[Traced]:
        for name, value in {"endpoint": endpoint, "sample_ratio": "1", **more}.items():
            monkeypatch.setenv(f"TRACING_{name.upper()}", value)
        app = create_app(settings, [*FEATURES, observed.feature])
        async with app.router.lifespan_context(app) as state:
            assert state
            service: Service = state["service"]
            async with client_over(app, service) as client:
                yield Traced(service, client)

    return open_it


async def test_a_request_and_its_job_and_what_that_calls_are_one_trace(opened: Open) -> None:
    with receiving() as receiver:
        async with opened(receiver.url) as traced:
            url = {"url": receiver.url}
            assert (await traced.client.post(CALLS, params=url)).status_code == 204

    request, job = receiver.named(f"POST {CALLS}"), receiver.named("job observed.call")
    called = receiver.named("GET")
    assert (request.kind, request.parent_id) == (SERVER, "")
    assert (job.kind, job.parent_id) == (CONSUMER, request.id)
    assert (called.kind, called.parent_id) == (CLIENT, job.id)
    assert called.attributes["http.response.status_code"] == 200
    assert "INSERT" in receiver.under(request)
    assert {"SELECT", "UPDATE"} <= {*receiver.under(job)}
    assert job.attributes["job.outcome"] == "done"
    assert {each.trace_id for each in receiver.spans} == {request.trace_id}
    (seen,) = [each for each in receiver.received if each.path.startswith("/called")]
    assert seen.headers["traceparent"].startswith(f"00-{request.trace_id}-{called.id}-")
    assert "hunter2" not in str(receiver.spans)


async def test_statements_are_traced_without_their_values(opened: Open) -> None:
    with receiving() as receiver:
        async with opened(receiver.url) as traced:
            asked = await traced.client.get(
                "/api/v1/observed/users?email=ada@example.com",
                headers={"Authorization": "Bearer hunter2", "Cookie": "hunter2"},
            )
            broken = await traced.client.post("/api/v1/observed/broken")
    assert (asked.status_code, broken.status_code) == (200, 500)

    request = receiver.named("GET /api/v1/observed/users")
    (read,) = [each for each in receiver.spans if each.parent_id == request.id]
    assert "WHERE users.email = " in str(read.attributes["db.query.text"])
    failed = [each for each in receiver.spans if each.name == "SELECT" and each.failed]
    assert [each.attributes["db.query.text"] for each in failed] == ["SELECT ?"]
    exported = b"".join(each.body for each in receiver.received)
    assert b"ada" not in exported
    assert b"hunter2" not in exported


async def test_a_client_continues_its_trace_and_decides_nothing_else(opened: Open) -> None:
    demanding = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "evil=1"}
    modest = {"traceparent": f"00-{TRACE}-{PARENT}-00", "baggage": "evil=1"}

    async def exported(ratio: str, headers: dict[str, str]) -> list[Span]:
        with receiving() as receiver:
            async with opened(receiver.url, sample_ratio=ratio) as traced:
                params = {"url": receiver.url}
                await traced.client.post(CALLS, params=params, headers=headers)
        calls = [each for each in receiver.received if each.path.startswith("/called")]
        assert [each.headers["traceparent"].split("-")[1] for each in calls] == [TRACE]
        assert "evil" not in str(calls)
        return receiver.spans

    assert await exported("0", demanding) == []
    spans = await exported("1", modest)
    assert {each.trace_id for each in spans} == {TRACE}
    assert [each.parent_id for each in spans if each.kind == SERVER] == [PARENT]


async def test_probes_are_not_traced_and_what_was_not_found_is(opened: Open) -> None:
    with receiving() as receiver:
        async with opened(receiver.url) as traced:
            for path in ("/health/live", "/health/ready", "/metrics", "/nowhere?q=hunter2"):
                await traced.client.get(path)

    assert [each.name for each in receiver.spans if each.kind == SERVER] == ["GET"]
    assert "hunter2" not in str(receiver.spans)


async def test_traced_requests_are_refused_before_their_body_is_read_too(opened: Open) -> None:
    with receiving() as receiver:
        async with opened(receiver.url) as traced:
            answer = await traced.client.post("/api/v1/observed/things/1", content=b"no JSON")

    assert answer.status_code == 401
    assert receiver.named("POST /api/v1/observed/things/{number}").kind == SERVER


async def test_log_lines_name_the_trace(opened: Open, capsys: pytest.CaptureFixture[str]) -> None:
    with receiving() as receiver:
        async with opened(receiver.url, sample_ratio="0") as traced:
            headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            await traced.client.post(CALLS, params={"url": receiver.url}, headers=headers)

    lines = [line for line in capsys.readouterr().err.splitlines() if f"trace_id={TRACE}" in line]
    assert ["observed.call" in line for line in lines] == [False, True]


async def test_a_silent_collector_delays_nothing_and_is_told_once(
    opened: Open, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "FLUSH_SECONDS", 0.1)
    monkeypatch.setattr(export, "EXPORT_SECONDS", 0.2)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        async with opened(f"http://127.0.0.1:{silent.getsockname()[1]}") as traced:
            until = time.monotonic() + 1
            while time.monotonic() < until:
                assert (await traced.client.get("/api/v1/observed/users?email=x")).is_success
            stopping = time.monotonic()

    assert time.monotonic() - stopping < 5
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if "traces_are_lost" in line]) == 1
    assert not [line for line in lines if "opentelemetry" in line]


@pytest.mark.slow
def test_what_is_off_is_not_even_imported(project_root: Path) -> None:
    """Of the SDK, redis-py itself imports what it needs for metrics, if it is installed."""
    heavy = ("opentelemetry.sdk.trace", "opentelemetry.exporter", "opentelemetry.instrumentation")
    code = f"import app.main, sys; print([m for m in sys.modules if m.startswith({(*heavy, 'sentry_sdk')!r})])"
    run = [sys.executable, "-c", code]
    printed = subprocess.run(run, cwd=project_root, capture_output=True, text=True, check=True)  # noqa: S603

    assert printed.stdout.strip() == "[]"


async def test_without_a_collector_nothing_is_followed(
    settings: Settings, committed_db: Database
) -> None:
    known = [*CARRIERS]
    app = create_app(settings)
    async with app.router.lifespan_context(app) as state:
        assert state
        service: Service = state["service"]

        assert service.telemetry == []
        assert not service.database.reads.watched
        assert service.database.reads.around is None
        assert known == CARRIERS
        assert described() == {}
