"""What the metrics say about requests and the process, and that no client can make new ones."""

import asyncio
import platform
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import count
from typing import Any, cast
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from sqlalchemy import QueuePool

from app.core.db.session import Database
from app.core.errors import Unavailable
from app.core.service import Service, service_of
from app.core.settings import Environment, Settings
from app.features.cache.service import cached
from app.features.limits.tests.steps import HERE, limited
from app.features.metrics import process
from app.features.metrics.settings import MetricsSettings
from app.service import observed
from conftest import PASSWORD, Account, client_over, make_account
from tests.inline import serving
from tests.outages import eventually

Figures = Mapping[tuple[str, ...], float]
COUNT = "http_request_duration_seconds_count"
LIVE = "/health/live"


def figures(text: str) -> Figures:
    """Each sample by its name and label values."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@dataclass
class Measured:
    """A service that is measured, and its client."""

    service: Service
    client: AsyncClient

    async def read(self) -> Figures:
        """All metrics."""
        answer = await self.client.get("/metrics")
        assert answer.status_code == 200
        return figures(answer.text)

    async def grown(self, act: Callable[[], Awaitable[object]]) -> Figures:
        """What this changes."""
        before = await self.read()
        await act()
        after = await self.read()
        return {key: value - before.get(key, 0) for key, value in after.items()}

    async def until(self, holds: Callable[[Figures], bool]) -> None:
        """Wait for the next measurements."""

        async def is_so() -> bool:
            return holds(await self.read())

        await eventually(is_so)


@pytest.fixture
async def measured(
    app: FastAPI, committed_db: Database, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Measured]:
    """The service as it is when it serves requests."""
    monkeypatch.setattr(process, "SECONDS", 0.05)
    service = serving(committed_db, observers=[])
    service.database.carry(service)
    async with observed(service), client_over(app, service) as client:
        yield Measured(service, client)


async def test_requests_are_counted_by_method_template_and_status(measured: Measured) -> None:
    async def act() -> None:
        for user in (uuid4(), uuid4()):
            await measured.client.get(f"/api/v1/users/{user}")
        await measured.client.get(LIVE)
        await measured.client.head(LIVE)

    grown = await measured.grown(act)

    assert grown[COUNT, "GET", "/api/v1/users/{user_id}", "401"] == 2
    assert grown[COUNT, "GET", LIVE, "200"] == grown[COUNT, "HEAD", LIVE, "200"] == 1
    buckets = [value for key, value in grown.items() if {*key} >= {"GET", LIVE, "200", "+Inf"}]
    assert buckets == [1]


async def test_no_client_makes_time_series(measured: Measured) -> None:
    async def act() -> None:
        for number in range(30):
            method, path = f"BREW{number}", f"/nowhere{number}/{uuid4()}"
            await measured.client.request(method, path)
            await measured.client.get(path)
            await measured.client.get(f"{LIVE}/{number}")
            await measured.client.get("/api/v1/users/" + f"{number}" * 50)
            await measured.client.request(method, LIVE)

    grown = await measured.grown(act)

    labels = {key[1:] for key in grown if key[0] == COUNT}
    moved = {key[1:]: value for key, value in grown.items() if key[0] == COUNT and value}
    del moved["GET", "/metrics", "200"]
    assert moved == {
        ("other", "unmatched", "404"): 30,
        ("GET", "unmatched", "404"): 60,
        ("GET", "/api/v1/users/{user_id}", "401"): 30,
        ("other", LIVE, "405"): 30,
    }
    assert not {label for key in labels for label in key if "BREW" in label or "nowhere" in label}


async def test_requests_in_progress_and_waiting_for_a_connection_are_shown(
    measured: Measured, app: FastAPI
) -> None:
    account = await make_account(
        measured.service.database, client_over(app, measured.service), "ada@example.com", "member"
    )
    size = measured.service.settings.database_pool_size
    async with AsyncExitStack() as busy:
        for _ in range(size):
            await busy.enter_async_context(measured.service.database.slots)
        waiting = [asyncio.create_task(account.client.get("/api/v1/users/me")) for _ in range(3)]
        await measured.until(lambda now: now["database_pool_waiting", "primary"] == 3)
        await measured.until(lambda now: now["http_requests_in_progress",] >= 3)
    assert {(await each).status_code for each in waiting} == {200}
    await measured.until(lambda now: now["database_pool_waiting", "primary"] == 0)
    await measured.until(lambda now: now["http_requests_in_progress",] <= 1)

    assert (await measured.read())["database_pool_size", "primary"] == size + 2


async def test_connections_in_use_are_shown(measured: Measured) -> None:
    used, engine = ("database_pool_in_use", "primary"), measured.service.database.reads.engine
    pool = cast("QueuePool", engine.sync_engine.pool)
    before = pool.checkedout()
    async with engine.connect():
        assert pool.checkedout() == before + 1
        await measured.until(lambda now: now[used] == pool.checkedout())
    await measured.until(lambda now: now[used] == pool.checkedout() <= before)


async def test_a_loop_that_is_blocked_lags(measured: Measured) -> None:
    async def act() -> None:
        time.sleep(0.6)  # noqa: ASYNC251, what should never happen
        await asyncio.sleep(0.1)

    grown = await measured.grown(act)

    slow = grown["event_loop_lag_seconds_count",] - grown["event_loop_lag_seconds_bucket", "0.25"]
    assert slow >= 1


async def test_it_says_what_is_running(measured: Measured) -> None:
    (found,) = [key for key in await measured.read() if key[0] == "build_info"]

    assert {measured.service.settings.issuer, platform.python_version(), version("app")} < {*found}


async def test_refusals_are_counted_by_limit(
    measured: Measured, app: FastAPI, committed_db: Database
) -> None:
    ours = limited(app, committed_db, address="2/m", login_address="1/m")

    async def act() -> None:
        client = ours.at(HERE)
        for _ in range(4):
            await client.get("/nowhere")
        wrong = {"username": "ada@example.com", "password": PASSWORD}
        await ours.at("203.0.113.77").post("/api/v1/auth/login", data=wrong)

    grown = await measured.grown(act)

    assert grown["limits_refused_total", "address"] >= 2
    for key in grown:
        assert "198.51" not in str(key)


async def test_hits_misses_and_stale_results_are_counted(measured: Measured) -> None:
    calls = count(1)

    @cached(seconds=0.3, stale_seconds=60)
    async def answer(database: Database, number: int) -> int:
        if next(calls) > 1:
            raise Unavailable("away")
        return number

    async def act() -> None:
        assert await answer(measured.service.database, 1) == 1
        assert await answer(measured.service.database, 1) == 1
        await asyncio.sleep(0.4)
        assert await answer(measured.service.database, 1) == 1

    grown = await measured.grown(act)

    found = {each: grown["cache_results_total", each] for each in ("hit", "miss", "stale")}
    assert found["stale"] == 1
    assert found["hit"] + found["miss"] == 3
    assert found["miss"] >= 2  # a busy machine may be slower than the time for which it is fresh


async def test_what_the_audit_log_records_is_counted_once_it_is_committed(
    measured: Measured, committed_admin: Account
) -> None:
    async def act() -> None:
        form = {"username": committed_admin.email, "password": PASSWORD}
        await measured.client.post("/api/v1/auth/login", data=form)
        await measured.client.post("/api/v1/auth/login", data=form | {"password": "wrong " * 3})

    grown = await measured.grown(act)

    assert grown["audit_events_total", "auth.logged_in"] == 1
    assert grown["audit_events_total", "auth.login_failed"] == 1


async def test_replays_are_counted(measured: Measured, committed_admin: Account) -> None:
    async def act() -> None:
        for _ in range(3):
            new: dict[str, Any] = {"name": "clerk", "permissions": []}
            headers = {"Idempotency-Key": "counted"}
            await committed_admin.client.post("/api/v1/roles", json=new, headers=headers)

    assert (await measured.grown(act))["idempotency_replays_total",] == 2


@pytest.mark.parametrize(
    ("environment", "ours"),
    [
        (Environment.TEST, MetricsSettings(enabled=False, token=None)),
        (Environment.TEST, MetricsSettings(enabled=False, token=SecretStr("prometheus-only-1"))),
        (Environment.PRODUCTION, MetricsSettings(token=None)),
    ],
)
async def test_off_means_that_nothing_is_measured(
    app: FastAPI,
    database: Database,
    settings: Settings,
    environment: Environment,
    ours: MetricsSettings,
) -> None:
    service = service_of(database)
    changed = settings.model_copy(update={"environment": environment})
    configured = {**service.configured, MetricsSettings: ours}
    service = replace(service, settings=changed, configured=configured, observers=[])
    tasks = asyncio.all_tasks()
    async with observed(service), client_over(app, service) as client:
        assert (service.observers, asyncio.all_tasks()) == ([], tasks)
        headers = {"Authorization": "Bearer prometheus-only-1"}
        assert (await client.get("/metrics", headers=headers)).status_code == 404


async def test_with_a_token_a_deployed_service_is_measured(
    app: FastAPI, database: Database, settings: Settings
) -> None:
    token = MetricsSettings(token=SecretStr("prometheus-only-1"))
    service = service_of(database)
    deployed = settings.model_copy(update={"environment": Environment.PRODUCTION})
    configured = {**service.configured, MetricsSettings: token}
    service = replace(service, settings=deployed, configured=configured, observers=[])
    async with observed(service), client_over(app, service) as client:
        assert len(service.observers) == 1
        assert (await client.get("/metrics")).status_code == 401
        headers = {"Authorization": "Bearer prometheus-only-1"}
        assert COUNT in (await client.get("/metrics", headers=headers)).text
