"""Requests per second, latency and CPU time of generated services beside a minimal FastAPI program.

All run with one worker and production settings on one PostgreSQL server, one at a time, in interleaved
rounds, under `wrk`. Writes docs/performance.md. TEST_POSTGRES_URL names a login that may create databases
and roles, and TEST_REDIS_URL a broker.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from benchmarks.services import BUILD, PASSWORD, ROOT, bake, environment, free_port

EMAIL = "admin@example.com"
ROWS = 10_000
CONNECTIONS = 32
TICK = os.sysconf("SC_CLK_TCK")

# Prints one line of JSON, and makes each body unique.
SCRIPT = """
local body, prefix = os.getenv("BODY"), os.getenv("PREFIX")
wrk.method = os.getenv("METHOD")
for name, value in string.gmatch(os.getenv("HEADERS"), "([^\\n:]+): ([^\\n]*)") do
  wrk.headers[name] = value
end
if body ~= "" then
  wrk.body = body
  local number = 0
  request = function()
    number = number + 1
    return wrk.format(nil, nil, nil, (body:gsub("UNIQUE", prefix .. number)))
  end
end
function done(summary, latency)
  local failed = summary.errors
  io.write(string.format(
    'DONE {"requests":%d,"seconds":%f,"p50":%f,"p95":%f,"p99":%f,"errors":%d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(95) / 1e3, latency:percentile(99) / 1e3,
    failed.status + failed.connect + failed.read + failed.write + failed.timeout))
end
"""
PRODUCTION = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "f3a1c95b7d2e4068b1c7d5e9f0a2b4c6d8e0f1a3b5c7d9e2",
    "PUBLIC_URL": "https://app.example.com",
    "MAILER": "app.core.mail.smtp.SMTPMailer",
    "SMTP_URL": "smtps://app:unused@mail.example.com",
    "CORS_ORIGINS": "https://app.example.com",
    "LOG_LEVEL": "INFO",
}


@dataclass(frozen=True)
class Work:
    """One kind of request."""

    title: str
    method: str
    path: str
    body: str = ""
    form: bool = False
    signed_in: bool = True
    connections: int = CONNECTIONS
    beside: str | None = None
    """Other work at the same time."""


NEW = '{"sku":"UNIQUE","name":"Green tea","price":1250}'
SIGN_IN = f"username={EMAIL.replace('@', '%40')}&password={PASSWORD.replace(' ', '+')}"


def works(live: str, me: str, page: str, create: str, login: str) -> dict[str, Work]:
    """The work, at these paths."""
    return {
        "live": Work("Liveness", "GET", live, signed_in=False),
        "me": Work("The caller's account", "GET", me),
        "page": Work(f"A page of 20 of {ROWS:,} rows", "GET", page),
        "create": Work("Create a row", "POST", create, NEW),
        "login": Work(
            "Sign in, 4 clients", "POST", login, SIGN_IN, form=True, signed_in=False, connections=4
        ),
        "busy": Work(
            "The caller's account, 4 clients, while 4 others sign in",
            "GET",
            me,
            connections=4,
            beside="login",
        ),
    }


FLOOR = works("/health", "/me", "/items?limit=20", "/items", "/login")
REST = works(
    "/health/live",
    "/api/v1/users/me",
    "/api/v1/products?limit=20",
    "/api/v1/products",
    "/api/v1/auth/login",
)
GRAPHQL = {
    "page": Work(
        REST["page"].title,
        "POST",
        "/graphql",
        json.dumps(
            {
                "query": "{ products(first: 20) { nodes { id createdAt updatedAt sku name description"
                " price currency } pageInfo { hasNextPage endCursor } } }"
            }
        ),
    )
}


@dataclass
class Target:
    """A service that is measured."""

    name: str
    project: Path
    command: list[str | Path]
    environ: Mapping[str, str]
    works: Mapping[str, Work]
    results: dict[str, list[dict[str, float]]] = field(
        default_factory=dict[str, list[dict[str, float]]]
    )
    memory: list[float] = field(default_factory=list[float])
    start: list[float] = field(default_factory=list[float])
    token: str = ""


def tree(root: int) -> list[int]:
    """A process and its descendants."""
    found = [root]
    for pid in found:
        listed = Path(f"/proc/{pid}/task/{pid}/children")
        if listed.exists():
            found += [int(child) for child in listed.read_text().split()]
    return found


def cpu_seconds(pids: list[int]) -> float:
    """User and system time of these processes."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def memory(pids: list[int]) -> float:
    """Proportional memory of these processes, in MiB."""
    found = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    return sum(int(re.findall(r"^Pss: +(\d+)", text, re.M)[0]) for text in found) / 1024


@contextmanager
def serving(target: Target) -> Generator[tuple[str, int]]:
    """Its address and process, from its first good answer on."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with (BUILD / f"{target.name}.log").open("wb") as log:
        started = time.perf_counter()
        server = subprocess.Popen(
            [*target.command, "--port", str(port)],
            cwd=target.project,
            env={**environment(target.project.parent / "data"), **target.environ},
            stdout=log,
            stderr=log,
        )
        try:
            for _ in range(3000):
                try:
                    if httpx2.get(base + target.works["live"].path, trust_env=False).is_success:
                        break
                except httpx2.TransportError:
                    time.sleep(0.01)
            target.start.append(time.perf_counter() - started)
            yield base, server.pid
        finally:
            server.terminate()
            server.wait(30)


def load(base: str, work: Work, token: str, seconds: int) -> subprocess.Popen[str]:
    """Start `wrk`."""
    script = Path(tempfile.gettempdir()) / "load.lua"
    script.write_text(SCRIPT)
    kind = "application/x-www-form-urlencoded" if work.form else "application/json"
    headers = {"Content-Type": kind} if work.body else {}
    if work.signed_in:
        headers["Authorization"] = f"Bearer {token}"
    return subprocess.Popen(
        ["wrk", "-t1", f"-c{work.connections}", f"-d{seconds}s", "-s", script, base + work.path],
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


def result(running: subprocess.Popen[str]) -> dict[str, float]:
    """What `wrk` measured."""
    output, _ = running.communicate()
    found = re.search(r"^DONE (.*)$", output, re.M)
    if not found:
        raise SystemExit(f"wrk failed: {output}")
    return json.loads(found[1])


def measure(target: Target, base: str, pid: int, key: str, seconds: int) -> None:
    """One round of one kind of work, after a short one that does not count."""
    work = target.works[key]
    result(load(base, work, target.token, 1))
    beside = target.works[work.beside] if work.beside else None
    other = load(base, beside, target.token, seconds + 1) if beside else None
    before = cpu_seconds(tree(pid))
    found = result(load(base, work, target.token, seconds))
    found["cpu"] = (cpu_seconds(tree(pid)) - before) / found["requests"] * 1000
    found["rate"] = found["requests"] / found["seconds"]
    if other:
        result(other)
    if found["errors"]:
        raise SystemExit(f"{target.name}: {found['errors']} failed requests, {work.title}")
    target.results.setdefault(key, []).append(found)
    print(f"{target.name:10} {key:7} {found['rate']:8.0f}/s {found['cpu']:6.2f} ms", flush=True)


EXECUTE = """
import asyncio, sys, asyncpg
async def main():
    connection = await asyncpg.connect(sys.argv[1])
    for statement in sys.argv[2:]:
        await connection.execute(statement)
    await connection.close()
asyncio.run(main())
"""


def execute(project: Path, url: str, *statements: str) -> None:
    """Run statements on the server, with the driver of a generated project."""
    python = project / ".venv/bin/python"
    subprocess.run([python, "-c", EXECUTE, url, *statements], check=True)


@contextmanager
def database(project: Path, server: str, name: str) -> Generator[str]:
    """A database of a login of its own, which may create the role of the service."""
    login = f"bench_{name}_{os.getpid()}"
    parts = urlsplit(server)
    url = f"postgresql://{login}:bench@{parts.hostname}:{parts.port or 5432}/{login}"
    execute(
        project,
        server,
        f"CREATE ROLE {login} LOGIN CREATEROLE PASSWORD 'bench'",
        f"CREATE DATABASE {login} OWNER {login}",
    )
    try:
        yield url
    finally:
        drop_role = f"DROP ROLE IF EXISTS {login}_service, {login}"
        execute(project, server, f"DROP DATABASE {login} WITH (FORCE)", drop_role)


def prepared(name: str, url: str, *answers: str, **environ: str) -> Target:
    """A generated service in production, migrated, with an administrator."""
    project = bake(name, *answers)
    role = {"DATABASE_ROLE": f"{urlsplit(url).username}_service"}
    settings = PRODUCTION | {"DATABASE_URL": url} | role | environ
    command = project / ".venv/bin/app"
    for arguments in (["db", "upgrade"], ["users", "create-admin", "--email", EMAIL]):
        subprocess.run(
            [command, *arguments],
            cwd=project,
            env={**environment(project.parent / "data"), **settings},
            check=True,
            stdout=subprocess.DEVNULL,
        )
    serve = [command, "serve", "--host", "127.0.0.1"]
    return Target(name, project, serve, settings, REST)


def floor(project: Path, url: str) -> Target:
    """The program that does nothing else, on the packages of a generated project."""
    settings = {
        "FLOOR_URL": url.replace("postgresql:", "postgresql+asyncpg:"),
        "FLOOR_SECRET": PRODUCTION["SECRET_KEY"],
    }
    serve = [
        *(project / ".venv/bin/uvicorn", "floor:app", "--app-dir", ROOT / "benchmarks"),
        *("--loop", "uvloop", "--http", "httptools", "--no-access-log"),
    ]
    return Target("floor", project, serve, settings, FLOOR)


def sign_in(base: str, target: Target) -> None:
    """A token for what follows."""
    form = {"username": EMAIL, "password": PASSWORD}
    answer = httpx2.post(base + target.works["login"].path, data=form, trust_env=False)
    target.token = answer.raise_for_status().json()["access_token"]


def fill(base: str, target: Target) -> None:
    """Create rows through the API until there are enough."""
    made = 0.0
    while made < ROWS:
        made += result(load(base, target.works["create"], target.token, 5))["requests"]


def run(targets: list[Target], rounds: int, seconds: int) -> None:
    """Interleaved rounds: all targets in turn, and again."""
    for target in targets:
        with serving(target) as (base, _):
            sign_in(base, target)
            fill(base, target)
        execute(target.project, database_url(target), "VACUUM ANALYZE")
        target.start.clear()
    for _ in range(rounds):
        for target in targets:
            with serving(target) as (base, pid):
                sign_in(base, target)
                for key in target.works:
                    measure(target, base, pid, key, seconds)
                time.sleep(2)  # the hashes of callers who have left
                target.memory.append(memory(tree(pid)))


def database_url(target: Target) -> str:
    """Where its rows are."""
    environ = target.environ
    return (environ.get("FLOOR_URL") or environ["DATABASE_URL"]).replace("+asyncpg", "")


def median(found: list[dict[str, float]], name: str) -> float:
    """The median over the rounds."""
    return statistics.median(each[name] for each in found)


def ratio(target: Target, base: Target, key: str) -> float:
    """The median of the ratios of each round."""
    pairs = zip(target.results[key], base.results[key], strict=True)
    return statistics.median(ours["rate"] / theirs["rate"] for ours, theirs in pairs)


def spread(target: Target, key: str) -> float:
    """How far rounds differ, as a share of their median."""
    rates = [each["rate"] for each in target.results[key]]
    return (max(rates) - min(rates)) / statistics.median(rates)


def report(targets: list[Target], rounds: int, seconds: int) -> str:
    """The page for people."""
    base = targets[0]
    lines = [
        "# Performance",
        "",
        "Written by `make bench`; do not edit. Each service runs with one worker and production settings on the same PostgreSQL"
        f" server, one at a time; `wrk` with {CONNECTIONS} connections unless said otherwise; medians of {rounds} interleaved rounds of"
        f" {seconds:g} s. *Floor* is `benchmarks/floor.py`: FastAPI, SQLAlchemy's ORM, asyncpg and JWT, with no logging, permissions,"
        " sessions, audit or tenants. *Ratio* is requests per second over those of the floor in the same round.",
        "",
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores ({processor()}), Python {platform.python_version()}.",
        "",
    ]
    for key, work in base.works.items():
        lines += [
            f"## {work.title}",
            "",
            "| service | requests/s | ratio | CPU ms | p50 ms | p95 ms | p99 ms | spread |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for target in targets:
            if key in target.results:
                found = target.results[key]
                cells = [
                    target.name,
                    f"{median(found, 'rate'):,.0f}",
                    f"{ratio(target, base, key):.2f}",
                    f"{median(found, 'cpu'):.2f}",
                    *(f"{median(found, each):.1f}" for each in ("p50", "p95", "p99")),
                    f"{spread(target, key):.0%}",
                ]
                lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    lines += [
        "## Start and memory",
        "",
        "| service | start s | memory after load MiB |",
        "|---|---|---|",
    ]
    for target in targets:
        start, used = statistics.median(target.start), statistics.median(target.memory)
        lines.append(f"| {target.name} | {start:.2f} | {used:.0f} |")
    return "\n".join([*lines, ""])


def processor() -> str:
    """The model of the processor."""
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return found[1] if found else platform.machine()


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    options = parser.parse_args()
    server, broker = os.environ.get("TEST_POSTGRES_URL"), os.environ.get("TEST_REDIS_URL")
    if not server or not broker:
        sys.exit("set TEST_POSTGRES_URL and TEST_REDIS_URL, whose servers the services use")
    project = bake("floor")
    with (
        database(project, server, "floor") as for_floor,
        database(project, server, "default") as for_default,
        database(project, server, "tenants") as for_tenants,
        database(project, server, "graphql") as for_graphql,
    ):
        with_all = ("use_celery=true", "multi_tenancy=row")
        targets = [
            floor(project, for_floor),
            prepared("default", for_default),
            prepared("tenants", for_tenants, *with_all, CELERY_BROKER_URL=broker),
            prepared("graphql", for_graphql, "use_graphql=true"),
        ]
        targets[-1].works = {name: REST[name] for name in ("live", "login", "create")} | GRAPHQL
        run(targets, options.rounds, options.seconds)
    (ROOT / "docs/performance.md").write_text(report(targets, options.rounds, options.seconds))


if __name__ == "__main__":
    main()
