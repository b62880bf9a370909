"""A deployed service under load while what it depends on fails, hangs and comes back, one after the other."""

import asyncio
import os
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from shutil import which
from time import monotonic
from typing import Any, Protocol
from uuid import uuid4

from httpx2 import AsyncClient, TransportError
from sqlalchemy import URL, pool, select, text
from sqlalchemy.ext.asyncio import create_async_engine

from app.core.db import migrations
from app.core.settings import Settings
from app.features.users.models import User
from conftest import PASSWORD
from tests.inline import filled
from tests.outages import eventually
from tests.ports import free_port
from tests.processes import Process, started

TIMEOUT = 2
"""Seconds that the service waits for its database."""
AWAY_SECONDS = 2.5
LONGEST = 25.0
"""Seconds within which each request is answered, on a busy machine: a connection, statements, and the rollback."""
POOL = 3
MOST_CONNECTIONS = (POOL + 2) + (4 + 2 + 2)
"""Of the service: those of requests and of jobs, each with some to spare."""


class Server(Protocol):
    """A database server of the test's own."""

    @property
    def url(self) -> URL:
        """Its database, as the administrator."""
        ...

    @property
    def processes(self) -> list[int]:
        """All of its processes."""
        ...

    lock: str
    """Locks the tables `jobs` and `auth_sessions` until the connection is closed."""
    connections: str
    """Counts those of the service."""
    unfinished: str
    """Counts transactions that do nothing."""

    def start(self) -> None:
        """Start it on its data."""
        ...

    def crash(self) -> None:
        """End it as a crash would."""
        ...


class Load:
    """Clients that write and read all the time."""

    def __init__(self, service: Process) -> None:
        self.service = service
        self.statuses = Counter[int]()
        self.acknowledged = list[str]()
        self.slowest = 0.0
        self.wrong = list[str]()

    async def ask(self, client: AsyncClient, path: str, body: dict[str, str], wanted: int) -> bool:
        """One request: it succeeds, or says that it can be repeated."""
        began = monotonic()
        try:
            answer = await client.post(f"/api/v1/auth/{path}", json=body)
        except TransportError as error:
            self.wrong.append(repr(error))
            return False
        self.slowest = max(self.slowest, monotonic() - began)
        self.statuses[answer.status_code] += 1
        retry = answer.headers.get("Content-Type") == "application/problem+json" and (
            answer.status_code == 503 and answer.headers.get("Retry-After")
        )
        if answer.status_code != wanted and not retry:
            self.wrong.append(answer.text)
        return answer.status_code == wanted

    async def write(self, client: AsyncClient) -> None:
        """Register; a job creates the account."""
        while True:
            email = f"{uuid4().hex}@example.com"
            if await self.ask(client, "register", {"email": email, "password": PASSWORD}, 202):
                self.acknowledged.append(email)
            await asyncio.sleep(0.3)

    async def read(self, client: AsyncClient) -> None:
        """Ask for a session that does not exist."""
        while True:
            await self.ask(client, "refresh", {"refresh_token": "x" * 43}, 401)
            await asyncio.sleep(0.1)

    async def recovered(self) -> None:
        """Wait until it is ready, writes and reads."""
        await eventually(self.service.ready)
        before = Counter(self.statuses)

        async def both() -> bool:
            return all(self.statuses[each] > before[each] + 1 for each in (202, 401))

        await eventually(both)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Ask, meanwhile."""
        async with self.service.client() as client:
            acts = [self.write(client), *(self.read(client) for _ in range(2 * POOL))]
            tasks = [asyncio.create_task(act) for act in acts]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def stopped(*processes: int) -> Generator[None]:
    """They do nothing, and do not end."""
    for each in processes:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in processes:
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGCONT)


async def numbers(url: URL, *statements: str) -> list[Any]:
    """What these say, on one connection."""
    engine = create_async_engine(url, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        found = [(await connection.execute(text(each))).scalar() for each in statements]
    await engine.dispose()
    return found


async def closed(writer: asyncio.StreamWriter) -> None:
    """Close the connection, whether or not the other side has."""
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


class Faults:
    """What happens to the service, in turn."""

    def __init__(
        self, server: Server, service: Process, redis: subprocess.Popen[bytes] | None
    ) -> None:
        self.server = server
        self.service = service
        self.redis = redis

    async def crash(self) -> None:
        """The database ends, and starts again."""
        await asyncio.to_thread(self.server.crash)
        await eventually(self.told_unready)
        await asyncio.to_thread(self.server.start)

    async def pause(self) -> None:
        """The database hangs."""
        with stopped(*self.server.processes):
            await eventually(self.told_unready)
            await asyncio.sleep(AWAY_SECONDS)

    async def starve(self) -> None:
        """Statements wait for a lock, until all connections are taken."""
        engine = create_async_engine(self.server.url, poolclass=pool.NullPool)
        async with engine.connect() as holder:
            await holder.exec_driver_sql(self.server.lock)
            await asyncio.sleep(AWAY_SECONDS)
            assert await self.told_soon() == 200, "probes have connections of their own"
            await holder.invalidate()
        await engine.dispose()

    async def leave(self) -> None:
        """Clients go away in the middle of their requests."""
        body = b'{"email": "gone@example.com", "password": "correct horse battery staple"}'
        head = (
            b"POST /api/v1/auth/register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        )
        request = head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        for part in (request, request[:-9]) * 10:
            _, writer = await asyncio.open_connection("127.0.0.1", self.service.port)
            writer.write(part)
            await writer.drain()
            await closed(writer)

    async def dawdle(self) -> None:
        """Others begin requests, and do not go on."""
        streams = [
            await asyncio.open_connection("127.0.0.1", self.service.port) for _ in range(100)
        ]
        for _, writer in streams:
            writer.write(b"GET / HTTP/1.1\r\nHost")
        assert await self.told_soon() == 200
        for _, writer in streams:
            await closed(writer)

    async def lose_redis(self) -> None:
        """What processes share hangs, and is gone."""
        if self.redis:
            with stopped(self.redis.pid):
                assert await self.told_soon() == 200
            self.redis.kill()
            assert await self.told_soon() == 200

    async def told_soon(self) -> int:
        """What the readiness probe is answered, in time."""
        began = monotonic()
        status = await self.service.status()
        assert monotonic() - began < LONGEST / 2
        return status

    async def told_unready(self) -> bool:
        """Whether the probe says so; for a moment it repeats what it has found before."""
        return await self.told_soon() == 503


@contextmanager
def redis() -> Generator[tuple[str, subprocess.Popen[bytes] | None]]:
    """The URL of a Redis of the test's own, if it is installed."""
    program = which("redis-server")
    if program is None:
        yield "", None
        return
    port = free_port()
    options = ["--port", str(port), "--save", "", "--bind", "127.0.0.1"]
    process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)  # noqa: S603
    try:
        yield f"redis://127.0.0.1:{port}/0", process
    finally:
        process.kill()
        process.wait()


async def assert_the_service_endures(server: Server, settings: Settings, log: Path) -> None:
    """Clients see success or a 503, never anything else; nothing that was acknowledged is lost; nothing leaks."""
    ours = settings.model_copy(update={"database_url": server.url})
    await asyncio.to_thread(migrations.upgrade, ours)
    await filled(ours)
    environ = {"DATABASE_TIMEOUT": str(TIMEOUT), "DATABASE_POOL_SIZE": str(POOL)}
    with redis() as (url, process):
        async with started(ours, log, REDIS_URL=url, **environ) as service:
            load, faults = Load(service), Faults(server, service, process)
            acts: list[Callable[[], Awaitable[None]]] = [
                faults.crash,
                faults.pause,
                faults.starve,
                faults.leave,
                faults.dawdle,
                faults.lose_redis,
            ]
            async with load.running():
                for act in acts:
                    await load.recovered()
                    await act()
                await load.recovered()
            await assert_nothing_is_missing(server, load)
            service.process.send_signal(signal.SIGTERM)
            await eventually(service.ended)

    assert load.wrong == []
    assert load.statuses.keys() == {202, 401, 503}
    assert load.slowest < LONGEST
    assert service.process.returncode == 0


async def assert_nothing_is_missing(server: Server, load: Load) -> None:
    """Every account is created in the end, and the connections are those of the pools."""
    engine = create_async_engine(server.url, poolclass=pool.NullPool)

    async def all_there() -> bool:
        async with engine.connect() as connection:
            found = set(await connection.scalars(select(User.email)))
        return found >= {*load.acknowledged}

    async def at_rest() -> bool:
        used, waiting = await numbers(server.url, server.connections, server.unfinished)
        return used <= MOST_CONNECTIONS and waiting == 0

    await eventually(all_there)
    await eventually(at_rest)
    await engine.dispose()
