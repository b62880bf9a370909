"""Bodies that are too large, over a real connection: the client gets a clear error."""

import json
import socket
import threading
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from itertools import islice
from time import monotonic

import pytest
import uvicorn
from fastapi import FastAPI

from app.core import bodies
from app.core.settings import Settings

PIECE = 65_536


@dataclass
class Answer:
    """The response."""

    status: int
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""


class Client:
    """A client that sends everything before it reads the response."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.stream = self.socket.makefile("rb")

    def send(self, *headers: str, body: Iterable[bytes] = ()) -> None:
        lines = ["POST /api/v1/auth/login HTTP/1.1", "Host: test"]
        lines += ["Content-Type: application/x-www-form-urlencoded", *headers]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        for piece in body:
            self.socket.sendall(piece)

    def read(self) -> Answer:
        status = self.stream.readline().split()
        answer = Answer(int(status[1]))
        while line := self.stream.readline().strip():
            name, _, value = line.decode().partition(": ")
            answer.headers[name.lower()] = value
        answer.body = self.stream.read(int(answer.headers["content-length"]))
        return answer

    def ask(self) -> int:
        self.socket.sendall(b"GET /health/live HTTP/1.1\r\nHost: test\r\n\r\n")
        return self.read().status


Connect = Callable[[], Client]


@pytest.fixture(params=["httptools", "h11"])
def connect(app: FastAPI, request: pytest.FixtureRequest) -> Generator[Connect]:
    """Connections to the service, served by uvicorn."""
    config = uvicorn.Config(
        app, http=request.param, lifespan="off", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    clients: list[Client] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()

        def open_one() -> Client:
            clients.append(client := Client(listener.getsockname()[1]))
            return client

        yield open_one
        for client in clients:
            client.stream.close()
            client.socket.close()
        server.should_exit = True
        thread.join()


def pieces(size: int) -> Iterable[bytes]:
    for begin in range(0, size, PIECE):
        yield b"x" * min(PIECE, size - begin)


def chunked(size: int) -> Iterable[bytes]:
    for piece in pieces(size):
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def framed(size: int, *, announced: bool) -> tuple[str, Iterable[bytes]]:
    """The framing header of the body, and the body."""
    if announced:
        return f"Content-Length: {size}", pieces(size)
    return "Transfer-Encoding: chunked", chunked(size)


def assert_refused(answer: Answer) -> None:
    assert answer.status == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert "larger than" in json.loads(answer.body)["detail"]


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
@pytest.mark.parametrize("excess", ["one byte", "twice", "all that is read"])
def test_who_sends_all_of_it_first_learns_that_it_was_too_large(
    connect: Connect, settings: Settings, excess: str, *, announced: bool
) -> None:
    limit = settings.max_body_size
    size = {"one byte": limit + 1, "twice": 2 * limit, "all that is read": 8 * limit}[excess]
    for more in ("close", "keep-alive"):
        client = connect()
        how, body = framed(size, announced=announced)
        client.send(how, f"Connection: {more}", body=body)

        assert_refused(client.read())
    assert client.ask() == 200


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
def test_what_is_far_too_large_is_not_read_to_its_end(
    connect: Connect, settings: Settings, *, announced: bool
) -> None:
    client = connect()
    how, body = framed(100 * settings.max_body_size, announced=announced)
    with pytest.raises(ConnectionError):
        client.send(how, body=body)

    answer = client.read()
    assert_refused(answer)
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
def test_waiting_for_the_rest_is_limited(
    connect: Connect, settings: Settings, monkeypatch: pytest.MonkeyPatch, *, announced: bool
) -> None:
    """Whether it is sent slowly, or announced and never sent."""
    monkeypatch.setattr(bodies, "READ_SECONDS", 0.5)
    client, begun = connect(), monotonic()
    how, body = framed(2 * settings.max_body_size, announced=announced)
    # Just enough to be too large: what arrives after the limit of time would reset the connection.
    client.send(how, body=islice(body, 0 if announced else settings.max_body_size // PIECE + 1))

    answer = client.read()
    assert 0.5 <= monotonic() - begun < 15
    assert_refused(answer)
    assert answer.headers["connection"] == "close"
    assert client.stream.read() == b""


def test_who_leaves_in_the_middle_leaves_nothing_behind(
    connect: Connect, settings: Settings
) -> None:
    for announced in (True, False):
        client = connect()
        how, body = framed(2 * settings.max_body_size, announced=announced)
        client.send(how, body=islice(body, 20))
        client.socket.shutdown(socket.SHUT_WR)
        client.stream.read()

    assert connect().ask() == 200


def test_who_asks_before_sending_is_not_told_to_send(connect: Connect, settings: Settings) -> None:
    client = connect()
    client.send(f"Content-Length: {settings.max_body_size + 1}", "Expect: 100-continue")

    answer = client.read()
    assert_refused(answer)
    assert answer.headers["connection"] == "close"
