"""What every response has, which hosts are served, and when a request is stopped."""

import asyncio
import socket
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from time import monotonic

import pytest
import uvicorn
from fastapi import FastAPI, Response, WebSocket
from fastapi.responses import StreamingResponse
from httpx2 import AsyncClient
from sqlalchemy import select
from starlette.types import Message

from app.core.db.session import Database, SessionDep, unit_of_work
from app.core.jobs.models import JobRun
from app.core.protection import PROTECTION
from app.core.settings import Environment, Settings
from app.main import create_app
from conftest import client_of

Serve = Callable[..., Awaitable[AsyncClient]]
OWN_NAMES = {"allowed_hosts": ["api.example.com", "*.shop.example"]}
UNKNOWN = "urn:problem-type:unknown-host"
SLOW = "urn:problem-type:too-slow"


def extended(settings: Settings) -> FastAPI:
    """The service with endpoints that take their time."""
    app = create_app(settings)

    @app.get("/bug")
    async def bug() -> None:
        raise ValueError("hunter2")

    @app.get("/framed")
    async def framed(response: Response) -> None:
        response.headers["X-Frame-Options"] = "SAMEORIGIN"

    @app.post("/waits")
    async def wait(session: SessionDep) -> None:
        session.add(JobRun(name="never", queue="default", arguments={}))
        await session.flush()
        await asyncio.Event().wait()

    @app.post("/reads")
    async def read(body: list[int]) -> int:
        return len(body)

    @app.get("/streams")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncGenerator[str]:
            for _ in range(3):
                yield "part "
                await asyncio.sleep(0.2)

        return StreamingResponse(parts())

    @app.websocket("/socket")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    return app


@pytest.fixture
async def serve(committed_db: Database, settings: Settings) -> AsyncGenerator[Serve]:
    """A client of the service with other settings."""
    async with AsyncExitStack() as stack:

        async def make(**changes: object) -> AsyncClient:
            changed = settings.model_copy(update=changes)
            client = client_of(extended(changed), committed_db, changed)
            return await stack.enter_async_context(client)

        yield make


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health/live", 200),
        ("HEAD", "/health/live", 200),
        ("OPTIONS", "/health/live", 204),
        ("GET", "/nowhere", 404),
        ("DELETE", "/health/live", 405),
        ("GET", "/api/v1/users/me", 401),
        ("POST", "/reads", 422),
        ("GET", "/bug", 500),
    ],
)
async def test_every_response_protects_its_reader(
    serve: Serve, method: str, path: str, status: int
) -> None:
    client = await serve()
    response = await client.request(method, path)

    assert response.status_code == status
    assert {name: response.headers.get_list(name) for name in PROTECTION} == {
        name: [text] for name, text in PROTECTION.items()
    }
    assert "Strict-Transport-Security" not in response.headers


async def test_so_do_those_to_preflight_requests_and_to_bodies_that_are_too_large(
    serve: Serve,
) -> None:
    client = await serve(cors_origins=["https://app.example.com"], max_body_size=10)
    asked = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "GET"}
    preflight = await client.options("/health/live", headers=asked)
    large = await client.post("/reads", json=[1] * 100)

    assert (preflight.status_code, large.status_code) == (200, 413)
    for response in (preflight, large):
        assert response.headers.items() >= {k.lower(): v for k, v in PROTECTION.items()}.items()


async def test_a_response_may_differ(serve: Serve) -> None:
    client = await serve()
    framed = await client.get("/framed")
    page = await client.get("/docs")

    assert framed.headers.get_list("X-Frame-Options") == ["SAMEORIGIN"]
    assert page.headers["Content-Security-Policy"].startswith("default-src 'self';")
    assert page.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize(
    ("environment", "seconds", "sent"),
    [
        (Environment.PRODUCTION, 31_536_000, "max-age=31536000"),
        (Environment.STAGING, 60, "max-age=60"),
        (Environment.PRODUCTION, 0, None),
        (Environment.LOCAL, 60, None),
    ],
)
async def test_where_deployed_browsers_use_nothing_but_tls(
    serve: Serve, environment: Environment, seconds: int, sent: str | None
) -> None:
    client = await serve(environment=environment, hsts_seconds=seconds)
    response = await client.get("/health/live")

    assert response.headers.get("Strict-Transport-Security") == sent


@pytest.mark.parametrize(
    "host",
    [
        "api.example.com",
        "API.example.com:8443",
        "a.shop.example",
        "a.b.shop.example:1",
        "localhost:8000",
        "127.0.0.1",
        "[::1]:8000",
    ],
)
async def test_the_service_answers_to_its_names(serve: Serve, host: str) -> None:
    client = await serve(**OWN_NAMES)

    assert (await client.get("/health/live", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "api.example.com.evil.example",
        "evil-api.example.com",
        "shop.example",
        "evilshop.example",
        "api.example.com:x",
        "api.example.com@evil.example",
        "10.0.0.1",
        "",
    ],
)
async def test_the_service_answers_to_no_other_name(serve: Serve, host: str) -> None:
    client = await serve(**OWN_NAMES)
    response = await client.get("/health/live", headers={"Host": host})

    assert response.status_code == 421
    assert response.json()["type"] == UNKNOWN
    assert "evil" not in response.text


async def test_two_names_are_both_its_own(serve: Serve) -> None:
    client = await serve(**OWN_NAMES)
    hosts = [("Host", "api.example.com"), ("Host", "evil.example")]

    assert (await client.get("/health/live", headers=hosts)).status_code == 421


@pytest.mark.parametrize(
    ("host", "answer"), [("api.example.com", "accept"), ("evil.example", "close")]
)
async def test_websockets_are_refused_too(settings: Settings, host: str, answer: str) -> None:
    app = extended(settings.model_copy(update=OWN_NAMES))
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/socket", "headers": [(b"host", host.encode())]}
    await app({**scope, "query_string": b"", "subprotocols": []}, receive, send)

    assert sent[0]["type"] == f"websocket.{answer}"


async def test_a_request_that_takes_too_long_is_stopped_and_rolled_back(
    serve: Serve, committed_db: Database
) -> None:
    client = await serve(request_timeout=0.2)
    free = committed_db.slots.free
    response = await client.post("/waits")

    assert response.status_code == 503
    assert response.json()["type"] == SLOW
    assert response.headers["Retry-After"]
    assert committed_db.slots.free == free
    async with unit_of_work(committed_db) as session:
        assert await session.scalar(select(JobRun).where(JobRun.name == "never")) is None


async def test_a_response_that_has_begun_may_take_longer(serve: Serve) -> None:
    client = await serve(request_timeout=0.2)

    assert (await client.get("/streams")).text == "part part part "


async def test_a_request_that_others_stop_is_no_slow_one(serve: Serve) -> None:
    client = await serve(request_timeout=60)
    asked = asyncio.create_task(client.post("/waits"))
    await asyncio.sleep(0.2)
    asked.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asked


def test_a_body_that_arrives_too_slowly_is_not_waited_for(settings: Settings) -> None:
    app = extended(settings.model_copy(update={"request_timeout": 0.3}))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, access_log=False))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            with socket.create_connection(listener.getsockname(), timeout=20) as client:
                client.sendall(
                    b"POST /reads HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n"
                    b"Content-Type: application/json\r\n\r\n[1"
                )
                started, answer = monotonic(), b""
                while received := client.recv(65_536):  # until the service closes it
                    answer += received
        finally:
            server.should_exit = True
            thread.join()

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert SLOW.encode() in answer
    assert monotonic() - started < 10
