"""What the lines of the log say of their request, and what is not repeated."""

import json
import logging as stdlib
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from httpx2 import AsyncClient
from starlette.types import Message
from starlette.websockets import WebSocketDisconnect

from app.core import changes, logging
from app.core.db import migrations
from app.core.db.errors import NotMigrated
from app.core.db.session import Database
from app.core.settings import LogFormat, Settings
from app.features.health import service as health
from app.main import create_app
from conftest import Account, client_of
from tests.inline import serving

READY = "/health/ready"


def log_as_json(settings: Settings) -> None:
    """Log as when deployed."""
    logging.configure(settings.model_copy(update={"log_format": LogFormat.JSON}))


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was written since the last call."""
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


async def test_the_line_of_a_request_has_its_route_and_its_user(
    member: Account,
    client: AsyncClient,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
) -> None:
    log_as_json(settings)
    await member.client.get(f"/api/v1/users/{member.id}")
    await client.get(f"/api/v1/users/{member.id}")
    await client.get("/nowhere")

    known, unknown, nowhere = (each for each in lines(capsys) if each["event"] == "request")
    assert (known["route"], known["user_id"]) == ("/api/v1/users/{user_id}", str(member.id))
    assert (unknown["route"], unknown["status"]) == ("/api/v1/users/{user_id}", 401)
    assert nowhere["route"] is None
    assert "user_id" not in unknown
    assert member.email not in str([known, unknown, nowhere])


async def test_a_probe_that_keeps_failing_is_a_line_when_it_changes_and_once_a_minute(
    database: Database,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = client_of(create_app(settings), database, settings)
    log_as_json(settings)
    now, current = [1000.0], [False]
    monkeypatch.setattr(changes, "monotonic", lambda: now[0])
    monkeypatch.setattr(health, "FRESH_SECONDS", 0)

    async def ahead(_: object) -> None:
        if not current[0]:
            raise NotMigrated

    monkeypatch.setattr(migrations, "ahead", ahead)

    async def probe(times: int) -> list[str]:
        for _ in range(times):
            await client.get(READY)
        return [f"{each['event']} {each.get('status', '')}".strip() for each in lines(capsys)]

    assert sorted(await probe(5)) == ["not_ready", "request 503"]
    now[0] += 30
    assert await probe(5) == []
    now[0] += 31
    assert sorted(await probe(5)) == ["not_ready", "request 503"]
    current[0] = True
    assert await probe(5) == ["request 200"]
    current[0] = False
    assert "request 503" in await probe(5)


async def test_an_outage_is_one_line_a_minute_whatever_it_is_asked(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    log_as_json(settings)
    for _ in range(3):
        for reason in ("it refuses", "it does not answer"):
            stdlib.getLogger("app").warning("no connection to the database: %s", reason)
        stdlib.getLogger("app").warning("something else")

    assert [each["event"] for each in lines(capsys)] == [
        "no connection to the database: it refuses",
        "no connection to the database: it does not answer",
        *["something else"] * 3,
    ]


def test_any_value_is_logged(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    log_as_json(settings)
    log = logging.access_log()
    log.info("text", text="é\N{LINE SEPARATOR}\n")
    log.info("other", other=object, half="\ud800")

    first, second = capsys.readouterr().err.splitlines()
    assert first.isascii()
    assert json.loads(first)["text"] == "é\N{LINE SEPARATOR}\n"
    assert json.loads(second)["other"] == repr(object)


def test_what_was_said_is_forgotten_before_it_fills_the_memory() -> None:
    said = changes.Changes()
    for number in range(10 * changes.MOST):
        assert said.are_news(number)
    assert len(said.said) <= changes.MOST


@pytest.fixture(scope="module")
def connected(settings: Settings) -> FastAPI:
    """The service with a WebSocket that has a bug, and one that its client leaves."""
    app = create_app(settings)

    @app.websocket("/bug")
    async def bug(websocket: WebSocket) -> None:
        await websocket.accept()
        raise ValueError("token=hunter2")

    @app.websocket("/left")
    async def left(websocket: WebSocket) -> None:
        raise WebSocketDisconnect

    return app


async def connect(app: FastAPI, database: Database, path: str) -> None:
    """As uvicorn does, which logs what is raised."""

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        pass

    headers = [(b"x-correlation-id", b"socket")]
    scope = {"type": "websocket", "path": path, "headers": headers, "query_string": b""}
    scope |= {"root_path": "", "subprotocols": [], "state": {"service": serving(database)}}
    try:
        await app(scope, receive, send)
    except Exception:
        stdlib.getLogger("uvicorn.error").exception("Exception in ASGI application\n")


async def test_a_bug_of_a_websocket_is_one_line_with_its_id(
    connected: FastAPI,
    database: Database,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
) -> None:
    log_as_json(settings)
    await connect(connected, database, "/bug")
    await connect(connected, database, "/left")

    (line,) = lines(capsys)
    assert (line["event"], line["correlation_id"]) == ("unhandled_exception", "socket")
    assert line["exception"][-1]["exc_value"] == "token=***"


def test_what_else_the_server_logs_is_kept(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    log_as_json(settings)
    try:
        raise OSError  # noqa: TRY301
    except OSError:
        stdlib.getLogger("uvicorn.error").exception("Exception in ASGI application\n")

    assert len(lines(capsys)) == 1
