"""What a server answers to requests that begin slowly, hugely or wrongly, over real connections."""

import asyncio
from collections.abc import AsyncGenerator, Iterator

import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from app.core import heads
from app.core.heads import BoundedHead
from tests.outages import eventually

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n"
ONE = b"X-A: " + b"a" * 1000 + b"\r\n"
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
async def port() -> AsyncGenerator[int]:
    """Of a server whose patience is short."""
    patience = pytest.MonkeyPatch()
    patience.setattr(heads, "SECONDS", 0.3)
    config = uvicorn.Config(
        PlainTextResponse("served"), port=0, http=BoundedHead, lifespan="off", log_config=None
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    await eventually(started)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving
    patience.undo()


async def told(port: int, *parts: bytes, pause: float = 0, most: int = 64) -> bytes:
    """The status line that a connection gets for these parts, sent with pauses; empty if it is closed without one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        return (await asyncio.wait_for(reader.readline(), 5)).strip()
    except ConnectionError:
        return b"reset"
    finally:
        writer.close()


def flood(part: bytes, total: int = 20 * MEGABYTE) -> Iterator[bytes]:
    """This part, again and again."""
    chunk = part * (65_536 // len(part))
    return (chunk for _ in range(total // len(chunk)))


TOO_LARGE = {b"HTTP/1.1 431 Request Header Fields Too Large", b"reset"}
"""A client that still sends may see the connection reset instead of the response."""


@pytest.mark.parametrize(
    ("begin", "part"),
    [
        pytest.param(REQUEST, ONE, id="many headers"),
        pytest.param(REQUEST + b"X-A: ", b"a" * 1000, id="a header without end"),
        pytest.param(REQUEST, b"a" * 1000, id="a name without end"),
        pytest.param(b"GET /", b"a" * 1000, id="a URL without end"),
    ],
)
async def test_a_head_without_end_is_refused(port: int, begin: bytes, part: bytes) -> None:
    assert await told(port, begin, *flood(part)) in TOO_LARGE


async def test_a_large_head_that_ends_is_served(port: int) -> None:
    assert await told(port, REQUEST + ONE * 30 + b"\r\n") == b"HTTP/1.1 200 OK"
    assert await told(port, REQUEST, ONE * 30, b"\r\n", pause=0.01) == b"HTTP/1.1 200 OK"


async def test_a_head_that_arrives_too_slowly_is_not_waited_for(port: int) -> None:
    letters = [bytes([each]) for each in REQUEST]

    assert await told(port, *letters, pause=0.05) in {b"HTTP/1.1 408 Request Timeout", b"reset"}


async def test_a_connection_that_sends_nothing_is_closed(port: int) -> None:
    assert await told(port) == b""


async def test_bodies_may_take_longer(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"

    assert await told(port, head, b"a", b"b", b"c", b"d", pause=0.1) == b"HTTP/1.1 200 OK"


async def test_a_connection_is_used_again_and_its_next_head_is_bounded_too(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers: list[bytes] = []
    for parts in ([REQUEST + b"\r\n"], [REQUEST, ONE, b"\r\n"], [REQUEST + b"\r\n"], [REQUEST]):
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0.05)
        answers.append(await asyncio.wait_for(reader.readline(), 5))
        while parts != [REQUEST] and await reader.readline() != b"\r\n":
            pass
        if parts != [REQUEST]:
            assert await reader.readexactly(6) == b"served"
    writer.close()

    assert [each.split()[1] for each in answers] == [b"200", b"200", b"200", b"408"]


@pytest.mark.parametrize(
    "request_text",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nabcde",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_a_400(port: int, request_text: bytes) -> None:
    assert await told(port, request_text) == b"HTTP/1.1 400 Bad Request"
