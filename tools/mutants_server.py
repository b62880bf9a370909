"""Runs tests, each time in a fresh copy of a process that has the libraries loaded already.

`tools/mutants.py` starts it in the environment of those tests, with the modules whose libraries they need,
and sends it a line of JSON for each run.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

# What these modules load, without what the tests are about.
LOADED = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
ours = {"__main__", "app", "conftest", "service_answers", "tests", "tools"}
print(*(name for name in sys.modules if name.split(".")[0] not in ours))
"""
OPTIONS = ["-x", "-q", "-W", "ignore::pytest.PytestAssertRewriteWarning"]  # it is loaded: so it is


class Failure:
    """A pytest plugin that keeps the first test that did not pass."""

    def __init__(self) -> None:
        self.first = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep its id."""
        if report.failed and not self.first:
            self.first = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep the module that cannot be imported."""
        if report.failed and not self.first:
            self.first = report.nodeid or "conftest.py"


def preload() -> None:
    """Import the libraries, which every process then shares."""
    listed = subprocess.run(
        [sys.executable, "-c", LOADED, *sys.argv[1:]], capture_output=True, text=True, check=True
    )
    for name in listed.stdout.split():
        with suppress(ImportError):
            importlib.import_module(name)


def test(tests: list[str], answer: int) -> None:
    """Run tests in this process, write down the one that failed, and end it."""
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(silence, stream)
    failure = Failure()
    code = pytest.main([*OPTIONS, *tests], [failure])
    os.write(answer, json.dumps({"code": int(code), "failed": failure.first}).encode())
    os._exit(0)


def attempt(tests: list[str], seconds: float) -> dict[str, Any]:
    """What came of tests that a new process ran."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.setsid()
        try:
            test(tests, writing)
        finally:
            os._exit(1)
    os.close(writing)
    deadline = time.monotonic() + seconds
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            break
        time.sleep(0.02)
    with os.fdopen(reading, "rb") as pipe:
        os.set_blocking(reading, False)
        told = pipe.read()
    if told:
        return json.loads(told)
    timed_out = time.monotonic() > deadline
    return {"code": 1, "failed": "the time limit" if timed_out else "the process"}


def main() -> None:
    """Serve until the input ends."""
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.path.insert(0, str(Path.cwd()))
    preload()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(attempt(asked["tests"], asked["seconds"])), flush=True)


if __name__ == "__main__":
    main()
