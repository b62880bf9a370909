"""Load from `wrk`, and what a server does under it."""

import json
import os
import re
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import cpu_seconds

SCRIPT = Path(__file__).with_name("load.lua")
CONNECTIONS = 32


@dataclass(frozen=True)
class Work:
    """One kind of request."""

    method: str
    path: str
    body: str = ""
    form: bool = False
    signed_in: bool = True
    connections: int = CONNECTIONS
    beside: str | None = None
    """Other work at the same time."""


@dataclass(frozen=True)
class Server:
    """A running program."""

    base: str
    pid: int
    token: str


@dataclass(frozen=True)
class Sample:
    """What one round measured."""

    requests: int
    rate: float
    """Requests per second."""
    cpu: float
    """Milliseconds of the server's processes for each request."""
    p50: float
    """Milliseconds, as the other percentiles."""
    p95: float
    p99: float
    errors: int


def median(samples: Sequence[Sample], name: str) -> float:
    """The median over the rounds."""
    return statistics.median(getattr(each, name) for each in samples)


def ratio(ours: Sequence[Sample], theirs: Sequence[Sample], name: str = "rate") -> float:
    """The median of the ratios of each round."""
    pairs = zip(ours, theirs, strict=True)
    return statistics.median(getattr(a, name) / getattr(b, name) for a, b in pairs)


def spread(samples: Sequence[Sample]) -> float:
    """How far the rates of rounds differ, as a share of their median."""
    rates = [each.rate for each in samples]
    return (max(rates) - min(rates)) / statistics.median(rates)


def start(server: Server, work: Work, seconds: int) -> subprocess.Popen[str]:
    """Start `wrk`."""
    kind = "application/x-www-form-urlencoded" if work.form else "application/json"
    headers = {"Content-Type": kind} if work.body else {}
    if work.signed_in:
        headers["Authorization"] = f"Bearer {server.token}"
    command = ["wrk", "-t1", f"-c{work.connections}", f"-d{seconds}s", "--timeout", "10s"]
    return subprocess.Popen(
        [*command, "-s", SCRIPT, server.base + work.path],
        env={
            **os.environ,
            "METHOD": work.method,
            "BODY": work.body,
            "PREFIX": f"B{time.time_ns()}-",
            "HEADERS": "\n".join(f"{name}: {value}" for name, value in headers.items()),
        },
        stdout=subprocess.PIPE,
        text=True,
    )


def finish(running: subprocess.Popen[str]) -> dict[str, float]:
    """What `wrk` measured."""
    output, _ = running.communicate()
    found = re.search(r"^DONE (.*)$", output, re.M)
    if not found:
        raise SystemExit(f"wrk failed: {output}")
    return json.loads(found[1])


def measure(server: Server, work: Work, seconds: int, beside: Work | None = None) -> Sample:
    """One round, after a short one that does not count."""
    finish(start(server, work, 1))
    other = start(server, beside, seconds + 1) if beside else None
    before = cpu_seconds(server.pid)
    found = finish(start(server, work, seconds))
    used = cpu_seconds(server.pid) - before
    if other:
        finish(other)
    requests = int(found["requests"])
    if not requests:
        raise SystemExit(f"not one answer in {seconds} s: {work.method} {work.path}")
    return Sample(
        requests=requests,
        rate=requests / found["seconds"],
        cpu=used / requests * 1000,
        p50=found["p50"],
        p95=found["p95"],
        p99=found["p99"],
        errors=int(found["errors"]),
    )


def measure_answered(
    server: Server, work: Work, seconds: int, beside: Work | None = None
) -> Sample:
    """The same, where a failed request ends the run."""
    sample = measure(server, work, seconds, beside)
    if sample.errors:
        raise SystemExit(f"{sample.errors} failed requests: {work.method} {work.path}")
    return sample
