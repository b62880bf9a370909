"""A process that is asked to stop says so, serves on for a while, finishes what it has begun, and ends."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

import pytest

from app.core.settings import Settings
from tests.outages import eventually
from tests.processes import PLAIN, SERVE, Process, started

pytestmark = [
    pytest.mark.slow,
    pytest.mark.drill,
    pytest.mark.usefixtures("emptied"),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM"),
]
CONNECTIONS = 100
HALF = b"username=stranger%40example.com&"
BODY = HALF + b"password=wrong"
LOGIN = (
    b"POST /api/v1/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s"
    % (len(BODY), HALF)
)
LIVE = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Load:
    """Clients that send one request after the other, on connections that they keep until asked to close them."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answered = 0
        self.closed = 0
        """Connections that the service asked to close."""
        self.away = False
        """Whether clients go elsewhere, as the service is not ready."""

    async def client(self) -> None:
        """One of them; raises if a request is not answered."""
        while not self.away:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            while await self.ask(reader, writer):
                pass
            self.closed += 1
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether the connection can be used again."""
        writer.write(LIVE)
        head, body = await answer(reader)
        assert (head.split()[1], body) == (b"200", b'{"status":"ok"}')
        self.answered += 1
        await asyncio.sleep(0.1)
        return b"connection: close" not in head.lower()


async def answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The head and the body of a response."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].split()[0]
    return head, await reader.readexactly(int(length))


async def watch(service: Process, load: Load) -> list[int]:
    """What probes are answered until the service no longer listens."""
    seen = list[int]()
    while 0 not in seen:
        seen.append(await service.status())
        load.away |= seen[-1] == 503
        await asyncio.sleep(0.05)
    return seen


@pytest.mark.parametrize(
    ("command", "more", "status"),
    [
        (SERVE, (), 0),
        (SERVE, ("--workers", "2"), 0),
        (PLAIN, (), -signal.SIGTERM),  # uvicorn repeats the signal
    ],
    ids=["one process", "two processes", "uvicorn"],
)
async def test_no_request_fails_while_the_service_stops(
    settings: Settings, tmp_path: Path, command: Sequence[str], more: Sequence[str], status: int
) -> None:
    async with started(settings, tmp_path / "log", command, more, DRAIN_SECONDS="2") as service:
        load = Load(service.port)
        clients = [asyncio.create_task(load.client()) for _ in range(CONNECTIONS)]
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(LOGIN)
        await asyncio.sleep(1)

        before = load.answered
        service.process.send_signal(signal.SIGTERM)
        seen = await watch(service, load)
        writer.write(BODY.removeprefix(HALF))
        late, _ = await answer(reader)
        writer.close()
        await asyncio.gather(*clients)
        await eventually(service.ended)

    assert late.split()[1] == b"401", "a request under way is finished"
    assert 0 < before < load.answered, "requests are served while it drains"
    assert load.closed >= CONNECTIONS
    assert sorted(set(seen), reverse=True) == [503, 200, 0] or set(seen) == {503, 0}
    assert seen.index(503) < seen.index(0), "probes learn of it before the port is closed"
    assert service.process.returncode == status, service.log.read_text()


async def test_a_signal_to_the_whole_group_is_one_signal(
    settings: Settings, tmp_path: Path
) -> None:
    """Supervisors send it so: the workers get it from their parent, too."""
    more = ("--workers", "2")
    async with started(settings, tmp_path / "log", SERVE, more, DRAIN_SECONDS="2") as service:
        os.killpg(service.process.pid, signal.SIGTERM)
        seen = await watch(service, Load(service.port))
        await eventually(service.ended)

    assert 503 in seen, "it drains"
    assert service.process.returncode == 0, service.log.read_text()


@pytest.mark.parametrize("more", [(), ("--workers", "2")], ids=["one process", "two processes"])
async def test_a_second_signal_ends_it_at_once(
    settings: Settings, tmp_path: Path, more: Sequence[str]
) -> None:
    async with started(settings, tmp_path / "log", SERVE, more, DRAIN_SECONDS="60") as service:

        async def drains() -> bool:
            return await service.status() == 503

        service.process.send_signal(signal.SIGTERM)
        await eventually(drains)
        service.process.send_signal(signal.SIGTERM)
        began = monotonic()
        await eventually(service.ended)

    assert monotonic() - began < 10, "it waits neither for the minute nor for requests"
    assert service.process.returncode == 128 + signal.SIGTERM
