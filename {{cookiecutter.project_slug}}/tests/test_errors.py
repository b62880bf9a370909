"""Every failure, whoever raises it, is a problem document."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response

from app.core.db.session import Database
from app.core.settings import Settings
from app.main import create_app
from conftest import client_of


@pytest.fixture
async def failing(database: Database, settings: Settings) -> AsyncGenerator[AsyncClient]:
    """The service with an endpoint that has a bug, and one that takes a body."""
    app = create_app(settings.model_copy(update={"max_body_size": 1000}))

    @app.get("/bug")
    async def bug() -> None:
        raise ValueError("password=hunter2")

    @app.post("/echo")
    async def echo(body: dict[str, str]) -> dict[str, str]:
        return body

    async with client_of(app, database, settings) as client:
        yield client


def assert_problem(answer: Response, status: int) -> None:
    problem = answer.json()
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["type"]
    assert problem["correlation_id"] == answer.headers["X-Correlation-ID"]


async def test_an_unknown_path(client: AsyncClient) -> None:
    assert_problem(await client.get("/nowhere"), 404)


async def test_a_wrong_method(client: AsyncClient) -> None:
    answer = await client.post("/health/live")

    assert_problem(answer, 405)
    assert answer.headers["Allow"] == "GET"


async def test_a_bug_tells_nothing_about_itself(failing: AsyncClient) -> None:
    answer = await failing.get("/bug")

    assert_problem(answer, 500)
    assert "hunter2" not in answer.text
    assert "ValueError" not in answer.text


async def test_a_body_that_is_no_json(failing: AsyncClient) -> None:
    answer = await failing.post(
        "/echo", content=b'{"a": ', headers={"Content-Type": "application/json"}
    )

    assert_problem(answer, 422)
    assert answer.json()["errors"][0]["pointer"] == ""


async def test_a_body_that_announces_to_be_too_large(failing: AsyncClient) -> None:
    assert_problem(await failing.post("/echo", json={"a": "x" * 2000}), 413)


async def test_a_body_that_turns_out_to_be_too_large(failing: AsyncClient) -> None:
    async def chunks() -> AsyncGenerator[bytes]:
        for _ in range(20):
            yield b"x" * 100
            await asyncio.sleep(0)

    answer = await failing.post(
        "/echo", content=chunks(), headers={"Content-Type": "application/json"}
    )

    assert_problem(answer, 413)


async def test_a_refused_value_is_not_repeated(failing: AsyncClient) -> None:
    answer = await failing.post("/echo", json={"a": {"secret": "hunter2"}})

    assert_problem(answer, 422)
    assert answer.json()["errors"][0]["pointer"] == "/a"
    assert "hunter2" not in answer.text


async def test_a_browser_on_another_website_learns_nothing(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"cors_origins": ["https://shop.example"]}))

    ours = await preflight(app, "https://shop.example")
    theirs = await preflight(app, "https://evil.example")

    assert ours.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert "Access-Control-Allow-Origin" not in theirs.headers
    assert_problem(theirs, 400)


async def preflight(app: FastAPI, origin: str) -> Response:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        return await client.options(
            "/health/live", headers={"Origin": origin, "Access-Control-Request-Method": "GET"}
        )
