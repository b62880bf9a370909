"""How the service behaves when its connections die or hang, on any database."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from time import monotonic
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import URL, func, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.core.db import engine as engine_module, session as session_module
from app.core.db.engine import create_engine
from app.core.db.errors import DatabaseTimeout, DatabaseUnavailable
from app.core.db.session import Database, reading, unit_of_work
from app.core.db.slots import Slots
from app.core.jobs import job, runner, store
from app.core.jobs.models import JobRun, JobState
from app.core.jobs.outbox import enqueue
from app.core.jobs.work import Work
from app.core.settings import Settings
from app.features.audit.models import AuditEvent
from app.features.users import repository as users
from conftest import client_of
from tests.inline import database_of, serving

Kill = Callable[[], Awaitable[None]]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Reach = Callable[[], Awaitable[Streams]]

FORGOT = "/api/v1/auth/forgot-password"
ADA = {"email": "ada@example.com"}
LOGIN = "/api/v1/auth/login"
BEHAVE = "behave"
SHORT = 0.3
"""Seconds that a statement may take; much less would fail statements that are answered."""
STRANGER = {"username": "stranger@example.com", "password": "wrong"}


class Relay:
    """A relay between the service and its database that can block traffic."""

    def __init__(self, reach: Reach) -> None:
        self.reach = reach
        self.flow = asyncio.Event()
        self.flow.set()

    def stop(self) -> None:
        """Act as a database that hangs."""
        self.flow.clear()

    def go_on(self) -> None:
        """Forward everything again, including what was sent meanwhile."""
        self.flow.set()

    def forget(self) -> None:
        """Drop the traffic of existing connections, as a firewall does with idle ones."""
        self.stop()
        self.flow = asyncio.Event()
        self.go_on()

    @asynccontextmanager
    async def listening(self, url: URL) -> AsyncGenerator[URL]:
        """The database of `url`, through this relay."""
        serving = set[asyncio.Task[None]]()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            serving.add(asyncio.create_task(self.serve(reader, writer)))

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        try:
            yield url.set(host="127.0.0.1", port=server.sockets[0].getsockname()[1], query={})
        finally:
            server.close()
            await cancel(*serving)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        async with closing(writer):
            far_reader, far_writer = await self.reach()
            async with closing(far_writer):
                both = [
                    asyncio.create_task(pass_on(reader, far_writer, self.flow)),
                    asyncio.create_task(pass_on(far_reader, writer, self.flow)),
                ]
                try:
                    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    await cancel(*both)


@asynccontextmanager
async def closing(writer: asyncio.StreamWriter) -> AsyncGenerator[None]:
    """Close the relay at the end."""
    try:
        yield
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flow: asyncio.Event
) -> None:
    """Forward from one side to the other, unless blocked."""
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            await flow.wait()
            writer.write(data)
            await writer.drain()


async def cancel(*tasks: asyncio.Task[None]) -> None:
    """End these."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def behind(
    relay: Relay, settings: Settings, seconds: float = 10
) -> AsyncGenerator[tuple[Database, Settings]]:
    """A service's connections through `relay`; one of them is open."""
    assert settings.database_url
    async with relay.listening(settings.database_url) as url:
        ours = settings.model_copy(update={"database_url": url, "database_timeout": seconds})
        engine = create_engine(ours)
        database = database_of(engine, ours)

        async def answers() -> bool:
            with suppress(DatabaseUnavailable):
                async with reading(database) as session:
                    return await session.scalar(text("SELECT 1")) == 1
            return False

        await eventually(answers)
        yield database, ours
        await engine.dispose()


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Retry until it holds: with short time limits, a busy machine may need several attempts."""
    for _ in range(600):
        if await holds():
            return
        await asyncio.sleep(0.1)
    pytest.fail("the condition never held")


async def assert_standstill_is_told(app: FastAPI, settings: Settings, relay: Relay) -> None:
    """Responses name the outage; afterwards everything works again."""
    async with (
        behind(relay, settings, SHORT) as (database, ours),
        client_of(app, database, ours) as client,
    ):

        async def is_refused() -> bool:
            return (await client.post(LOGIN, data=STRANGER)).status_code == 401

        await eventually(is_refused)
        relay.stop()
        during = [await client.post(LOGIN, data=STRANGER) for _ in range(2)]
        relay.go_on()
        await eventually(is_refused)

    late, away = (answer.json()["type"] for answer in during)
    assert late == "urn:problem-type:database-timeout"
    assert away == "urn:problem-type:database-unavailable"  # nor can it be connected to
    assert {answer.status_code for answer in during} == {503}
    assert all(answer.headers["Retry-After"] for answer in during)


async def assert_reads_tell_of_it(settings: Settings, relay: Relay) -> None:
    """What is read without a session fails in the same way, and is not asked again."""
    async with behind(relay, settings, SHORT) as (database, _):

        async def is_answered() -> bool:
            with suppress(DatabaseUnavailable):
                return await database.rows(users.ACCOUNT, {"user_id": uuid4()}) == []
            return False

        await eventually(is_answered)
        relay.stop()
        with pytest.raises(DatabaseTimeout):
            await database.rows(users.ACCOUNT, {"user_id": uuid4()})
        relay.go_on()
        await eventually(is_answered)


async def assert_time_limits_of_features_are_theirs(settings: Settings, relay: Relay) -> None:
    """A time limit or time-out of a feature's own is not mistaken for an outage."""
    async with behind(relay, settings) as (database, _):
        relay.stop()
        with pytest.raises(TimeoutError):
            async with unit_of_work(database) as session, asyncio.timeout(0.05):
                await session.execute(text("SELECT 1"))
        relay.go_on()
        with pytest.raises(TimeoutError, match="the printer"):
            async with unit_of_work(database) as session:
                await session.execute(text("SELECT 1"))
                raise TimeoutError("the printer")


async def assert_probes_answer_soon(
    app: FastAPI, settings: Settings, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Probes wait neither for requests nor for a database that hangs."""
    async with behind(relay, settings) as (database, ours):
        crowded = replace(database, slots=Slots(0, SHORT))
        async with client_of(app, crowded, ours) as client:
            assert (await client.get("/health/ready")).status_code == 200
            assert (await client.get("/metrics")).status_code == 200

            monkeypatch.setattr(session_module, "PROBE_SECONDS", 0.2)
            relay.stop()
            began = monotonic()
            ready, metrics = await asyncio.gather(
                client.get("/health/ready"), client.get("/metrics")
            )
            assert monotonic() - began < 5
            relay.go_on()

    assert ready.status_code == 503
    assert ready.json()["checks"] == {"database": "unreachable"}
    assert metrics.status_code == 200
    assert "job_runs" in metrics.text


async def assert_forgotten_connection_is_replaced(
    settings: Settings, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The only sign that the connection is dead is that nothing is answered on it."""
    async with behind(relay, settings) as (database, _):
        monkeypatch.setattr(engine_module, "IDLE_SECONDS", 0)
        monkeypatch.setattr(engine_module, "PING_SECONDS", 0.1)
        relay.forget()
        async with reading(database) as session:
            assert await session.scalar(text("SELECT 1")) == 1


@job("test.standstill")
async def standstill(work: Work) -> None:
    """Do what the test defines."""
    await work.session.info[BEHAVE](work.session)


async def assert_jobs_tell_of_it(
    committed: Database, settings: Settings, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the job or at its end, and even if it could not be recorded at once."""

    async def stop(session: AsyncSession) -> None:
        relay.stop()
        asyncio.get_running_loop().call_later(3 * SHORT, relay.go_on)

    async def stop_and_ask(session: AsyncSession) -> None:
        await stop(session)
        await session.execute(text("SELECT 1"))

    monkeypatch.setattr(runner, "AGAIN_SECONDS", 0.1)
    for behavior in (stop, stop_and_ask):
        async with unit_of_work(committed) as session:
            asked = await enqueue(session, standstill)
        assert asked
        async with unit_of_work(committed) as session:
            claimed = await store.claim(session, {standstill.name: standstill}, limit=2)
            (run,) = [each for each in claimed if each.id == asked]
        async with behind(relay, settings, SHORT) as (database, ours):
            database.writer.kw["info"][BEHAVE] = behavior
            await runner.execute(serving(database, settings=ours), standstill, run)

        async with reading(committed) as session:
            row = await session.get_one(JobRun, asked)
        assert (row.state, row.error) == (
            JobState.QUEUED,
            f"DatabaseTimeout: {DatabaseTimeout.told}",
        )


async def assert_read_only_is_told(
    app: FastAPI,
    database: Database,
    settings: Settings,
    promote: Callable[[], Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Connections to the read-only database are not kept."""
    monkeypatch.setattr(engine_module, "REPLACED_SECONDS", 0)
    async with client_of(app, database, settings) as client, AsyncExitStack() as at_once:
        for _ in range(4):
            session = await at_once.enter_async_context(reading(database))
            await session.execute(text("SELECT 1"))
        await at_once.aclose()
        refused = await client.post(FORGOT, json=ADA)
        ready = await client.get("/health/ready")

        await promote()
        taken = await asyncio.gather(*(client.post(FORGOT, json=ADA) for _ in range(4)))
        ready_again = await client.get("/health/ready")

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert refused.json()["type"] == "urn:problem-type:database-read-only"
    assert (ready.status_code, ready.json()["checks"]) == (503, {"database": "read-only"})
    assert {answer.status_code for answer in taken} == {202}
    assert ready_again.status_code == 200


async def assert_told_and_replaced(database: Database, client: AsyncClient, kill: Kill) -> None:
    """A request that loses its connection fails; the next one gets a new connection."""
    ask = select(func.count()).select_from(AuditEvent)
    with pytest.raises(DatabaseUnavailable):
        async with unit_of_work(database) as session:
            await session.execute(ask)
            await kill()
            await session.execute(ask)

    assert (await client.get("/health/ready")).status_code == 200


async def assert_replaced_unnoticed(
    client: AsyncClient, kill: Kill, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that died while idle is tested before it is handed out."""
    monkeypatch.setattr(engine_module, "IDLE_SECONDS", 0)
    assert (await client.get("/health/ready")).status_code == 200

    await kill()

    assert (await client.get("/health/ready")).status_code == 200


async def assert_work_goes_on(database: Database, client: AsyncClient, kill: Kill) -> None:
    """After a restart no request fails: nothing had happened on the connections that are gone."""
    for _ in range(2):
        waiting = [client.post(LOGIN, data=STRANGER) for _ in range(4)]
        reads = [database.rows(users.ACCOUNT, {"user_id": uuid4()}) for _ in range(4)]
        answers, found = await asyncio.gather(asyncio.gather(*waiting), asyncio.gather(*reads))
        assert ({each.status_code for each in answers}, found) == ({401}, [[]] * 4)
        await kill()


async def assert_only_a_first_statement_is_executed_again(engine: AsyncEngine, kill: Kill) -> None:
    """Of two that are lost with their connection, one had something before it, which is lost as well."""
    note = insert(AuditEvent)
    count = select(func.count()).select_from(AuditEvent)

    def row(action: str) -> dict[str, object]:
        return {"id": uuid4(), "action": action, "object_type": "test", "object_id": uuid4()}

    async with engine.connect() as connection:
        await kill()
        await connection.execute(note, row("first"))
        await connection.execute(note, row("second"))
        await connection.commit()
        assert await connection.scalar(count) == 2
    async with engine.connect() as connection:
        await connection.execute(note, row("third"))
        await kill()
        with pytest.raises(DBAPIError) as lost:
            await connection.execute(note, row("fourth"))
        assert lost.value.connection_invalidated
    async with engine.connect() as connection:
        assert await connection.scalar(count) == 2
