"""Probes say whether to restart the process, wait for it, or send requests elsewhere."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr

from app.core.db.session import Database
from app.core.service import Service, service_of
from app.core.settings import Environment, Settings
from app.features.health import service as health
from app.features.health.service import Watch, watching
from app.features.health.settings import HealthSettings
from conftest import client_over

TOKEN = "a token of sixteen characters or more"


async def test_the_process_lives(client: AsyncClient) -> None:
    assert (await client.get("/health/live")).json() == {"status": "ok"}


async def test_the_service_is_ready(client: AsyncClient) -> None:
    answer = await client.get("/health/ready")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "checks": {"database": "ok"}}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The checks of the database, which answers with the last of these."""
    answers = ["unreachable"]

    async def check(database: object) -> str:
        answers.append(answers[-1])
        await asyncio.sleep(0.05)
        return answers[-1]

    monkeypatch.setattr(health, "check_database", check)
    return answers


@pytest.fixture
def service(database: Database) -> Service:
    """A service that has just been opened."""
    service = service_of(database)
    return replace(service, opened={**service.opened, watching: Watch()})


async def test_the_service_has_started_once_it_has_been_ready(
    app: FastAPI, service: Service, asked: list[str]
) -> None:
    async with client_over(app, service) as client:
        before = await client.get("/health/startup")
        asked.append("ok")
        after = await client.get("/health/startup")
        asked.append("unreachable")
        later = [await client.get(f"/health/{each}") for each in ("startup", "ready")]

    assert [each.status_code for each in (before, after, *later)] == [503, 200, 200, 503]
    assert before.json()["type"] == "urn:problem-type:not-ready"


async def test_a_crowd_of_probes_asks_once(
    app: FastAPI, service: Service, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "FRESH_SECONDS", 60)
    async with client_over(app, service) as client:
        waiting = [client.get("/health/ready") for _ in range(20)]
        impatient = asyncio.create_task(client.get("/health/ready"))
        await asyncio.sleep(0.01)
        impatient.cancel()
        answers = await asyncio.gather(*waiting)
        again = await client.get("/health/ready")

    assert {each.status_code for each in [*answers, again]} == {503}
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("environment", "token", "presented", "shown"),
    [
        (Environment.LOCAL, None, None, True),
        (Environment.PRODUCTION, None, None, False),
        (Environment.PRODUCTION, None, "Bearer None", False),
        (Environment.PRODUCTION, TOKEN, None, False),
        (Environment.PRODUCTION, TOKEN, f"Bearer {TOKEN[:-1]}", False),
        (Environment.PRODUCTION, TOKEN, f"Bearer {TOKEN}", True),
        (Environment.LOCAL, TOKEN, None, False),
    ],
)
async def test_only_who_may_see_it_learns_which_dependency_fails(
    app: FastAPI,
    service: Service,
    settings: Settings,
    asked: list[str],
    environment: Environment,
    token: str | None,
    presented: str | None,
    shown: bool,
) -> None:
    given: dict[str, Any] = {"token": SecretStr(token) if token else None}
    ours = replace(
        service,
        settings=settings.model_copy(update={"environment": environment}),
        configured={**service.configured, HealthSettings: HealthSettings(**given)},
    )
    headers = {"Authorization": presented} if presented else {}
    async with client_over(app, ours) as client:
        away = await client.get("/health/ready", headers=headers)
        asked.append("ok")
        ready = await client.get("/health/ready", headers=headers)

    assert (away.status_code, ready.status_code) == (503, 200)
    assert away.json().get("checks") == ({"database": "unreachable"} if shown else None)
    assert ready.json() == {"status": "ok"} | ({"checks": {"database": "ok"}} if shown else {})
