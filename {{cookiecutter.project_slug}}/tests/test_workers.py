"""A server process that dies or hangs is replaced; if one cannot start, the service ends."""

import logging
import os
import signal
from collections.abc import Callable, Generator
from multiprocessing import Pipe
from socket import socket

import pytest
from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import multiprocess

from app.core import workers as module
from app.core.workers import Workers, run_workers


class Worker:
    """A server process that lives, dies and answers as a test says."""

    def __init__(self, config: Config, sockets: list[socket]) -> None:
        self.sockets = sockets
        self.exitcode: int | None = None
        self.pid = id(self)
        self.parent_conn, self.child_conn = Pipe()
        self.done: list[str] = []

    def start(self) -> None:
        """Note it."""
        self.done.append("start")

    def kill(self) -> None:
        """Note it."""
        self.done.append("kill")

    def join(self) -> None:
        """Note it."""
        self.done.append("join")

    def answer(self) -> None:
        """Answer one ping."""
        assert self.child_conn.recv() == b"ping"
        self.child_conn.send(True)


@pytest.fixture
def listener() -> Generator[socket]:
    """What the workers accept requests on."""
    with socket() as made:
        yield made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the time."""

    def turn(seconds: float) -> None:
        monkeypatch.setattr(module, "monotonic", lambda: seconds)

    turn(0)
    return turn


@pytest.fixture
def workers(listener: socket, clock: object, monkeypatch: pytest.MonkeyPatch) -> Workers:
    """Two of them, without real processes."""
    monkeypatch.setattr(multiprocess, "SIGNALS", {})  # those of the tests stay as they are
    for place in (module, multiprocess):
        monkeypatch.setattr(place, "Process", Worker)
    workers = Workers(config(), [listener])
    workers.init_processes()
    return workers


def config() -> Config:
    """Two workers that may hang for five seconds."""
    return Config("app.main:create_app", workers=2, timeout_worker_healthcheck=5)


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (0, "exited with status 0"),
        (1, "exited with status 1"),
        (-signal.SIGTERM, "was terminated by SIGTERM"),
        pytest.param(
            -9,
            "was terminated by SIGKILL: unless it was sent on purpose, the machine is out of memory:"
            " use fewer --workers",
            marks=pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL"),
        ),
        (-signal.SIGSEGV, "was terminated by SIGSEGV: a native library crashed"),
    ],
)
def test_a_dead_worker_is_replaced_and_the_log_says_why(
    workers: Workers, listener: socket, caplog: pytest.LogCaptureFixture, status: int, cause: str
) -> None:
    living, dead = all_of(workers)
    dead.exitcode = status

    workers.keep_subprocess_alive()

    after, new = all_of(workers)
    assert after is living
    assert living.done == ["start"]
    assert (new.done, new.sockets) == (["start"], [listener])
    assert dead.done == ["start", "kill", "join"]
    assert caplog.messages == [f"worker {dead.pid} {cause}"]
    assert not workers.should_exit.is_set()


def test_a_worker_that_answers_is_kept(
    workers: Workers, clock: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    before = all_of(workers)
    for seconds in (0, 6, 12, 17):
        clock(seconds)
        workers.keep_subprocess_alive()
        if seconds < 12:
            for worker in before:
                worker.answer()

    assert all_of(workers) == before
    assert caplog.messages == []


def test_a_hung_worker_is_replaced(
    workers: Workers, clock: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    hung, answering = all_of(workers)
    workers.keep_subprocess_alive()
    answering.answer()
    clock(5.1)
    workers.keep_subprocess_alive()

    new, kept = all_of(workers)
    assert kept is answering
    assert (new.done, hung.done) == (["start"], ["start", "kill", "join"])
    (line,) = caplog.messages
    assert line.startswith(f"worker {hung.pid} did not answer for 5 seconds: ")
    assert hung not in workers.asked


def test_a_service_that_is_stopping_replaces_no_worker(
    workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    before = all_of(workers)
    before[0].exitcode = 0
    workers.should_exit.set()

    workers.keep_subprocess_alive()

    assert all_of(workers) == before
    assert caplog.messages == []


@pytest.mark.parametrize(("status", "failed"), [(STARTUP_FAILURE, True), (-signal.SIGTERM, False)])
def test_the_service_fails_if_a_worker_cannot_start(
    workers: Workers,
    listener: socket,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    status: int,
    failed: bool,
) -> None:
    caplog.set_level(logging.ERROR)

    def check_once(supervisor: multiprocess.Multiprocess) -> None:
        supervisor.init_processes()
        first, _ = all_of(supervisor)
        first.exitcode = status
        supervisor.keep_subprocess_alive()
        assert supervisor.should_exit.is_set() == failed
        assert (all_of(supervisor)[0] is first) == failed

    monkeypatch.setattr(multiprocess.Multiprocess, "run", check_once)
    if failed:
        with pytest.raises(SystemExit) as ended:
            run_workers(config(), listener)
        assert ended.value.code == STARTUP_FAILURE
        reason = "could not start: see the lines above; the service exits"
        assert [message.split(maxsplit=2)[2] for message in caplog.messages] == [reason]
    else:
        run_workers(config(), listener)


def all_of(supervisor: multiprocess.Multiprocess) -> list[Worker]:
    """Its processes."""
    found: list[Worker] = list(supervisor.processes)  # pyright: ignore[reportAssignmentType]
    return found
