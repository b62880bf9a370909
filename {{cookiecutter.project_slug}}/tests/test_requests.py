"""What every request goes through."""

import asyncio
import io
import json
import logging as stdlib_logging
import re
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import iter_route_contexts
from httpx2 import ASGITransport, AsyncClient
from starlette.types import Receive, Scope, Send

from app.core import logging, middleware
from app.core.db import migrations
from app.core.db.carried import SERVICE as CARRIED
from app.core.db.errors import NotMigrated
from app.core.db.session import Database
from app.core.routing import SERVICE, router as new_router
from app.core.settings import LogFormat, Settings
from app.main import create_app
from conftest import client_of


def log_as_json(settings: Settings) -> None:
    """Log as when deployed, to standard error."""
    logging.configure(settings.model_copy(update={"log_format": LogFormat.JSON}))


async def test_a_correlation_id_is_made_or_kept(client: AsyncClient) -> None:
    made = await client.get("/health/live")
    kept = await client.get("/health/live", headers={"X-Correlation-ID": "order-4711"})

    assert len(made.headers["X-Correlation-ID"]) == 32
    assert kept.headers["X-Correlation-ID"] == "order-4711"


async def test_a_correlation_id_that_forges_log_lines_is_replaced(client: AsyncClient) -> None:
    forged = 'x" level="critical'

    answer = await client.get("/health/live", headers={"X-Correlation-ID": forged})

    assert forged not in answer.headers["X-Correlation-ID"]


async def test_each_request_is_one_line_without_its_query(
    client: AsyncClient,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log_as_json(settings)
    clock = iter([1000.0, 1000.012345678])
    monkeypatch.setattr(middleware, "perf_counter", lambda: next(clock))
    answer = await client.get("/nowhere?token=hunter2")

    lines = capsys.readouterr().err.splitlines()
    line = next(json.loads(line) for line in lines if "request" in line)
    assert line["event"] == "request"
    assert line["method"] == "GET"
    assert line["path"] == "/nowhere"
    assert line["client"] == "127.0.0.1"
    assert line["status"] == 404
    assert line["duration_ms"] == 12.35
    assert line["correlation_id"] == answer.headers["X-Correlation-ID"]
    assert "hunter2" not in "".join(lines)


async def test_a_request_without_a_response_is_a_line_too(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as one whose client has left."""
    log_as_json(settings)

    async def leave(scope: Scope, receive: Receive, send: Send) -> None:
        raise asyncio.CancelledError

    async def nothing(*_: object) -> Any:  # noqa: ANN401, of a receive and a send
        raise AssertionError

    scope: Scope = {"type": "http", "method": "GET", "path": "/left", "headers": []}
    with pytest.raises(asyncio.CancelledError):
        await middleware.Responses(leave, {}, 0)(scope, nothing, nothing)

    line = json.loads(capsys.readouterr().err)
    assert (line["path"], line["status"]) == ("/left", 0)


async def test_a_probe_is_a_line_only_when_it_fails(
    database: Database,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log_as_json(settings)
    client = client_of(create_app(settings), database, settings)

    assert (await client.get("/health/live")).status_code == 200
    assert "/health" not in capsys.readouterr().err

    async def outdated(_: object) -> None:
        raise NotMigrated

    monkeypatch.setattr(migrations, "ahead", outdated)
    assert (await client.get("/health/ready")).status_code == 503
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert "/health/ready" in [line.get("path") for line in lines]


async def test_requests_reach_other_handlers_of_the_log_too(
    client: AsyncClient, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    log_as_json(settings)
    other = io.StringIO()
    root = stdlib_logging.getLogger()
    root.addHandler(stdlib_logging.StreamHandler(other))

    await client.get("/nowhere")

    assert "/nowhere" in other.getvalue()
    assert "/nowhere" in capsys.readouterr().err


class FullDisk(io.StringIO):
    """A stream that takes nothing."""

    def write(self, text: str) -> int:
        raise OSError(text)


async def test_a_log_that_cannot_be_written_fails_no_request(
    app: FastAPI, database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", FullDisk())
    log_as_json(settings)

    async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {"service": database.info[CARRIED]}}, receive, send)

    async with AsyncClient(transport=ASGITransport(with_state), base_url="http://test") as client:
        answer = await client.get("/nowhere")

    assert answer.status_code == 404


async def test_no_request_is_logged_below_the_level(
    client: AsyncClient, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    log_as_json(settings.model_copy(update={"log_level": "WARNING"}))

    await client.get("/nowhere")

    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("log_format", LogFormat)
async def test_the_status_of_a_failure_is_a_plain_number(
    client: AsyncClient,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    log_format: LogFormat,
) -> None:
    logging.configure(settings.model_copy(update={"log_format": log_format}))

    await client.post("/api/v1/auth/login", json={})
    await client.get("/api/v1/users")

    lines = capsys.readouterr().err
    assert re.search(r"""status"?[=:] ?422\b""", lines)
    assert re.search(r"""status"?[=:] ?401\b""", lines)
    assert "HTTPStatus" not in lines


def fail(password: str) -> None:
    raise ValueError(len(password))


async def test_a_trace_in_the_log_shows_no_values(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    log_as_json(settings)
    try:
        fail("hunter2")
    except ValueError:
        structlog.stdlib.get_logger("test").exception("failed")

    line = json.loads(capsys.readouterr().err)
    assert line["exception"][0]["exc_type"] == "ValueError"
    assert "hunter2" not in str(line)


@pytest.fixture
async def routed(settings: Settings) -> AsyncGenerator[AsyncClient]:
    """The service with paths that several routes share, in routers within routers."""
    inner, outer = new_router("/things", tag="things", about=SERVICE), APIRouter()

    @inner.get("/{name}")
    async def get(name: str) -> str:
        return name

    @inner.put("/mine")
    async def put() -> None:
        pass

    @inner.post("/{name}")
    async def post(name: str) -> None:
        pass

    @inner.api_route("/hook", methods=["OPTIONS"], status_code=201)
    async def hook() -> None:
        pass

    @inner.api_route("/probe", methods=["HEAD", "GET"])
    async def probe(request: Request) -> str:
        return request.method

    outer.include_router(inner)
    app = create_app(settings)
    app.include_router(outer)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        yield client


async def test_allow_names_the_methods_of_all_routes(routed: AsyncClient) -> None:
    mine = await routed.delete("/api/v1/things/mine")
    another = await routed.delete("/api/v1/things/yours")

    assert (mine.status_code, mine.headers["Allow"]) == (405, "GET, HEAD, OPTIONS, POST, PUT")
    assert (another.status_code, another.headers["Allow"]) == (405, "GET, HEAD, OPTIONS, POST")
    assert (await routed.delete("/api/v1/things/mine/x")).status_code == 404


async def test_a_method_that_allow_names_is_not_refused(app: FastAPI, client: AsyncClient) -> None:
    """On any path; methods that it omits are refused."""
    routes = [context for context in iter_route_contexts(app.routes) if context.methods]
    for path in {str(context.path) for context in routes}:
        url = re.sub(r"\{\w+\}", "x", path)
        allowed = (await client.request("BREW", url)).headers["Allow"].split(", ")
        for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE"):
            status = (await client.request(method, url)).status_code
            assert (status != 405) == (method in allowed), (method, url)


async def test_head_is_get_without_a_body(routed: AsyncClient) -> None:
    for url in ("/api/v1/things/yours", "/api/v1/users", "/health/live", "/docs"):
        get, head = await routed.get(url), await routed.head(url)

        assert head.status_code == get.status_code
        assert head.content == b""
        assert head.headers["Content-Type"] == get.headers["Content-Type"]
        assert head.headers["Content-Length"] == get.headers["Content-Length"] != "0"


async def test_head_and_options_can_be_declared_too(routed: AsyncClient) -> None:
    assert (await routed.options("/api/v1/things/hook")).status_code == 201
    assert (await routed.head("/api/v1/things/probe")).headers["Content-Length"] == "6"
    assert (await routed.head("/api/v1/roles/x/y")).status_code == 404


async def test_options_says_what_a_path_takes(routed: AsyncClient) -> None:
    answer = await routed.options("/api/v1/things/mine")

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST, PUT"
    assert (await routed.options("/nowhere")).status_code == 404


@pytest.mark.parametrize("path", ["/api/v1/users/", "/docs/", "//health/live", "/health/live//"])
async def test_no_request_is_redirected(client: AsyncClient, path: str) -> None:
    answer = await client.get(f"http://test{path}", headers={"Host": "evil.example"})

    assert answer.status_code == 404
    assert "Location" not in answer.headers
    assert "evil" not in answer.text
