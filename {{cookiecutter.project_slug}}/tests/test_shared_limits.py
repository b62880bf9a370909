"""Several processes admit as many as one, as long as Redis answers; what happens meanwhile is decided by a setting."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from socket import socket
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Limits
from pydantic import SecretStr
from sqlalchemy import make_url

from app import cli
from app.core.db.session import Database
from app.core.service import Service
from app.core.settings import Settings
from app.features.limits import shared as module
from app.features.limits.service import limiting, opened
from app.features.limits.settings import LimitSettings, Rate
from conftest import client_over
from tests.databases import NO_FILE
from tests.inline import serving
from tests.live import server, started
from tests.outages import Relay, eventually

ADDRESS = [Rate(5, 60)]
COUNTED = "/docs"
TOO_MANY = "urn:problem-type:too-many-requests"


@pytest.fixture
def redis() -> str:
    """The URL of a real one."""
    return os.environ.get("TEST_REDIS_URL") or pytest.skip("TEST_REDIS_URL names no Redis")


@asynccontextmanager
async def limited(
    database: Database, settings: Settings, url: str, *, closed: bool = False
) -> AsyncGenerator[Service]:
    """A service that counts in this Redis."""
    ours = LimitSettings(**NO_FILE, address=tuple(ADDRESS), closed=closed)
    settings = settings.model_copy(
        update={"redis_url": SecretStr(url), "issuer": f"tests-{uuid4()}"}
    )
    carried = serving(database, settings=settings)
    service = serving(
        database, settings=settings, configured={**carried.configured, LimitSettings: ours}
    )
    async with opened(service) as limiter:
        service.opened[limiting] = limiter
        yield service


async def statuses(client: AsyncClient, count: int) -> list[int]:
    """Those of so many requests."""
    return [(await client.get(COUNTED)).status_code for _ in range(count)]


@pytest.fixture
async def relay(redis: str, monkeypatch: pytest.MonkeyPatch) -> Relay:
    """Between this Redis and a service that does not wait long for it."""
    monkeypatch.setattr(module, "SECONDS", 0.4)
    monkeypatch.setattr(module, "PAUSE", 0.2)
    parts = make_url(redis)
    return Relay(lambda: asyncio.open_connection(parts.host, parts.port or 6379))


@pytest.fixture
async def relayed(relay: Relay, redis: str) -> AsyncGenerator[str]:
    """The URL of this Redis through the relay."""
    async with relay.listening(make_url(redis)) as url:
        yield url.render_as_string(hide_password=False)


async def test_while_redis_hangs_each_process_counts_for_itself(
    app: FastAPI, committed_db: Database, settings: Settings, relay: Relay, relayed: str
) -> None:
    async with (
        limited(committed_db, settings, relayed) as service,
        client_over(app, service) as client,
    ):
        before = await statuses(client, 3)
        well = (await client.get("/health/ready")).json()["checks"]["limits"]
        relay.stop()
        meanwhile = await statuses(client, 7)
        ready = await client.get("/health/ready")
        relay.forget()

        async def recovered() -> bool:
            return (await client.get("/health/ready")).json()["checks"]["limits"] == "ok"

        await eventually(recovered)
        await asyncio.sleep(0.3)
        after = await statuses(client, 4)

    assert (before, well) == ([200] * 3, "ok")
    assert meanwhile == [200] * 5 + [429] * 2
    assert ready.status_code == 200
    assert ready.json()["checks"]["limits"].startswith("degraded: Redis does not answer")
    assert after == [200, 200, 429, 429]


async def test_or_it_refuses_everything_but_probes(
    app: FastAPI, committed_db: Database, settings: Settings, relay: Relay, relayed: str
) -> None:
    async with (
        limited(committed_db, settings, relayed, closed=True) as service,
        client_over(app, service) as client,
    ):
        before = await statuses(client, 1)
        relay.stop()
        refused = [await client.get(COUNTED) for _ in range(3)]
        ready, live = [await client.get(f"/health/{each}") for each in ("ready", "live")]
        relay.forget()

        async def recovered() -> bool:
            return (await client.get(COUNTED)).status_code == 200

        await eventually(recovered)

    assert before == [200]
    assert {each.status_code for each in refused} == {503}
    assert refused[0].json()["type"] == "urn:problem-type:limits-unavailable"
    assert (ready.status_code, live.status_code) == (503, 200)
    assert ready.json()["checks"]["limits"] == "unreachable"


async def test_a_redis_that_is_gone_fails_no_sign_in(
    app: FastAPI, committed_db: Database, settings: Settings
) -> None:
    with socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{unused.getsockname()[1]}/0"
        async with (
            limited(committed_db, settings, url) as service,
            client_over(app, service) as client,
        ):
            form = {"username": "ada@example.com", "password": "wrong"}
            answers = [await client.post("/api/v1/auth/login", data=form) for _ in range(2)]

    assert [each.status_code for each in answers] == [401, 429]  # each weighs 5


@pytest.mark.slow
@pytest.mark.usefixtures("emptied")
@pytest.mark.parametrize(
    ("trusted", "found"),
    [
        ("127.0.0.1,::1", [200, 200, 200]),
        ("127.0.0.0/8", [200, 200, 200]),
        ("10.0.0.0/8", [200, 429, 429]),
        ("", [200, 429, 429]),
    ],
)
async def test_only_trusted_proxies_say_who_the_client_is(
    project_root: Path, settings: Settings, trusted: str, found: list[int]
) -> None:
    environ = {"LIMITS_ADDRESS": "1/h", "TRUSTED_PROXIES": trusted}
    with server(project_root, settings, environ) as base:
        async with AsyncClient(base_url=base, timeout=60, trust_env=False) as client:
            await started(client)
            clients = ["192.0.2.1", "192.0.2.2", "192.0.2.1, 192.0.2.3"]
            answers = [
                await client.get(COUNTED, headers={"X-Forwarded-For": each}) for each in clients
            ]

    assert [each.status_code for each in answers] == found


@pytest.mark.slow
@pytest.mark.usefixtures("emptied")
async def test_of_a_thousand_requests_to_two_processes_exactly_fifty_are_served(
    project_root: Path, settings: Settings, redis: str
) -> None:
    environ = {
        "REDIS_URL": redis,
        "ISSUER": f"tests-{uuid4()}",
        "LIMITS_ADDRESS": "50/h",
        "LIMITS_CONCURRENT": "1000",
        "LIMITS_PER_PROCESS": "false",
    }
    one_each = Limits(max_connections=50, max_keepalive_connections=0)
    with server(project_root, settings, environ, workers=2) as base:
        async with AsyncClient(
            base_url=base, limits=one_each, timeout=60, trust_env=False
        ) as client:
            await started(client)
            answers = await asyncio.gather(*(client.get(COUNTED) for _ in range(1000)))

    found = sorted(each.status_code for each in answers)
    assert found == [200] * 50 + [429] * 950
    assert {each.json()["type"] for each in answers if each.status_code == 429} == {TOO_MANY}


def no_socket(host: str, port: int) -> None:
    """None is needed, as nothing starts."""


def test_several_processes_that_would_count_alone_do_not_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert settings.database_url
    url = settings.database_url.render_as_string(hide_password=False)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("LIMITS_PER_PROCESS", "false")
    monkeypatch.setattr(sys, "argv", ["app", "serve", "--workers", "2", "--port", "1"])
    monkeypatch.setattr(cli, "bind", no_socket)

    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert ended.value.code == 2
    assert "REDIS_URL is not set, so each process would count for itself" in capsys.readouterr().err
