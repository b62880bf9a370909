"""A real server that another service might be, with all its moods."""

import asyncio
import gzip
import json
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import REGISTRY


@dataclass(frozen=True)
class Asked:
    """A request as the server received it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401
        return json.loads(self.body)


Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Partner:
    """Answers with the script first, then as usual."""

    usual: Answer
    script: list[Answer] = field(default_factory=list[Answer])
    asked: list[Asked] = field(default_factory=list[Asked])
    connections: int = 0
    url: str = ""

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                self.asked.append(await request_of(reader))
                await (self.script.pop(0) if self.script else self.usual)(writer)
                await writer.drain()
        writer.transport.abort()

    @asynccontextmanager
    async def listening(self, tls: ssl.SSLContext | None = None) -> AsyncGenerator[None]:
        serving = set[asyncio.Task[None]]()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            serving.add(asyncio.create_task(self.serve(reader, writer)))

        server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield
        finally:
            server.close()
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving)


async def request_of(reader: asyncio.StreamReader) -> Asked:
    """The next request of a connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): text for name, _, text in (each.partition(": ") for each in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    method, path, _ = first.split()
    return Asked(method, path, headers, body)


def reply(status: int = 200, body: bytes = b"{}", **headers: str) -> Answer:
    """A whole response; an underscore in the name of a header is a hyphen."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    lines = {"Content-Length": str(len(body)), **named}

    async def answer(writer: asyncio.StreamWriter) -> None:
        head = "".join(f"{name}: {text}\r\n" for name, text in lines.items())
        writer.write(f"HTTP/1.1 {status} Some\r\n{head}\r\n".encode() + body)

    return answer


async def hang(writer: asyncio.StreamWriter) -> None:
    """Take the request, and never answer."""
    await asyncio.sleep(60)


async def reset(writer: asyncio.StreamWriter) -> None:
    """Close the connection without an answer."""
    writer.transport.abort()
    raise ConnectionResetError


async def drip(writer: asyncio.StreamWriter) -> None:
    """Answer byte by byte, each soon enough for a timeout between bytes."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.02)


async def flood(writer: asyncio.StreamWriter) -> None:
    """Answer without an end."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"." * 0x10000 + b"\r\n")
        await writer.drain()


def bomb(layers: int) -> Answer:
    """A small body that becomes 16 MiB."""
    body = bytes(16 * 1024**2)
    for _ in range(layers):
        body = gzip.compress(body)
    return reply(200, body, Content_Encoding=", ".join(["gzip"] * layers))


def metric(name: str, **labels: str) -> float:
    """The value of a metric in this process."""
    return REGISTRY.get_sample_value(name, labels) or 0
