"""The page for people: docs/performance.md."""

import os
import platform
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import goals, peers, sections
from benchmarks.goals import Verdicts
from benchmarks.growth import Depth
from benchmarks.programs import Program
from benchmarks.routes import Route
from benchmarks.tables import percentiles, table
from benchmarks.wrk import CONNECTIONS, Sample, median, ratio, spread

TITLES = {
    "live": "Liveness",
    "me": "The caller's account",
    "page": "A page of 20 of {rows:,} rows",
    "create": "Create a row",
    "login": "Sign in, 4 clients",
    "busy": "The caller's account, 4 clients, while 4 others sign in",
}
WORK = (
    "service",
    "requests/s",
    "ratio",
    "target",
    "CPU ms",
    "p50 ms",
    "p95 ms",
    "target",
    "p99 ms",
    "spread",
)


@dataclass(frozen=True)
class Measured:
    """All that a page is written from."""

    rounds: int
    fewer_rounds: int
    seconds: int
    rows: int
    servers: Mapping[str, str]
    """The versions of the databases, by name."""
    programs: Sequence[Program]
    """The floor, and services on the same server; then variants of the default one: with two workers, without limits,
    and with limits in Redis."""
    on_mysql: Sequence[Program]
    """The floor, and the default service; none without a server."""
    by_rows: Mapping[int, Sequence[Sample]]
    depths: Sequence[Depth]
    by_connections: Mapping[int, Sequence[Sample]]
    connection_seconds: int
    route_count: int
    routes: Sequence[Route]
    generation: Mapping[str, Sequence[float]]


def page(measured: Measured) -> str:
    """The whole page."""
    verdicts = Verdicts()
    floor, *services, two_workers, unlimited, shared = measured.programs
    fewer = measured.fewer_rounds
    lines = [
        *works(measured, [floor, *services], verdicts),
        *starts(floor, [*services, two_workers], verdicts),
        *workers(services[0], two_workers, measured.rows),
        *counting(unlimited, services[0], shared),
        *on_mysql(measured),
        *sections.rows(measured.by_rows, measured.depths, fewer, verdicts),
        *sections.connections(measured.by_connections, fewer, measured.connection_seconds),
        *sections.routes(measured.route_count, measured.routes, verdicts),
        *sections.generation(measured.generation, verdicts),
        *peers.section(floor, services[0], measured.generation["cookiecutter"]),
    ]
    return "\n".join([*introduction(measured, verdicts), *lines])


def introduction(measured: Measured, verdicts: Verdicts) -> list[str]:
    """How it was measured, and what the figures mean."""
    servers = ", ".join(measured.servers.values())
    return [
        "# Performance",
        "",
        "Written by `make bench`; do not edit. Each service runs with one worker and production settings on the same server, one at a"
        f" time, beside the database and `wrk` with {CONNECTIONS} connections unless said otherwise; medians of {measured.rounds} interleaved"
        f" rounds of {measured.seconds} s, and of {measured.fewer_rounds} where it says so. *Floor* is `benchmarks/floor.py`: FastAPI,"
        " SQLAlchemy's ORM, the same driver and JWT, with no logging, permissions, sessions, audit or tenants. *Ratio* is requests per second"
        " over those of the floor in the same round. *Target* is what the project wants to reach.",
        "",
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores ({processor()}), Python {platform.python_version()}, {servers}.",
        "",
        verdicts.summary(),
        "",
    ]


def processor() -> str:
    """The model of the processor."""
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return found[1] if found else platform.machine()


def works(measured: Measured, programs: Sequence[Program], verdicts: Verdicts) -> list[str]:
    """A table for each kind of work."""
    lines: list[str] = []
    for key, title in TITLES.items():
        cells = [
            work_row(each, programs[0], key, verdicts) for each in programs if key in each.samples
        ]
        lines += [f"## {title.format(rows=measured.rows)}", "", *table(WORK, cells)]
    return lines


def work_row(program: Program, floor: Program, key: str, verdicts: Verdicts) -> list[str]:
    """One program at one kind of work."""
    ours, theirs = program.samples[key], floor.samples[key]
    of_floor = ratio(ours, theirs)
    p95 = median(ours, "p95")
    limit = median(theirs, "p95") if (program.name, key) in goals.QUICK_ENOUGH else None
    what = f"{key} ({program.name})"
    return [
        program.name,
        f"{median(ours, 'rate'):,.0f}",
        f"{of_floor:.2f}",
        verdicts.at_least(what, of_floor, goals.RATES.get(program.name, {}).get(key)),
        f"{median(ours, 'cpu'):.2f}",
        f"{median(ours, 'p50'):.1f}",
        f"{p95:.1f}",
        verdicts.at_most(f"p95 of {what}", p95, limit, digits=1),
        f"{median(ours, 'p99'):.1f}",
        f"{spread(ours):.0%}",
    ]


def starts(floor: Program, services: Sequence[Program], verdicts: Verdicts) -> list[str]:
    """Time until the first answer, and memory after all rounds' load."""
    header = ("service", "start s", "ratio", "target", "memory after load MiB", "target")
    cells = [[floor.name, f"{statistics.median(floor.start):.2f}", "1.00", "", mib(floor), ""]]
    for each in services:
        pairs = zip(each.start, floor.start, strict=True)
        times = statistics.median(ours / theirs for ours, theirs in pairs)
        limit = goals.START if each.name in goals.RATES else None
        used = statistics.median(each.memory)
        cells.append(
            [
                each.name,
                f"{statistics.median(each.start):.2f}",
                f"{times:.2f}",
                verdicts.at_most(f"start ({each.name})", times, limit),
                mib(each),
                verdicts.at_most(
                    f"memory ({each.name})", used, goals.MEMORY.get(each.name), digits=0
                ),
            ]
        )
    return ["## Start and memory", "", *table(header, cells)]


def mib(program: Program) -> str:
    """The memory that it uses after load."""
    return f"{statistics.median(program.memory):.0f}"


def workers(one: Program, two: Program, rows: int) -> list[str]:
    """The default service with one worker and with two."""
    header = ("work", "workers", "requests/s", "ratio to one worker", "p50 ms", "p95 ms", "p99 ms")
    cells = [
        [
            TITLES[key].format(rows=rows),
            count,
            *(
                f"{median(program.samples[key], 'rate'):,.0f}",
                f"{ratio(program.samples[key], one.samples[key]):.2f}",
            ),
            *percentiles(program.samples[key]),
        ]
        for key in two.measured
        for count, program in (("1", one), ("2", two))
    ]
    return [
        "## One worker and two",
        "",
        f"The default service, `app serve --workers 2`. The database and `wrk` run on the same {os.cpu_count()} cores: elsewhere a second"
        " worker gains more.",
        "",
        *table(header, cells),
    ]


def counting(unlimited: Program, limited: Program, shared: Program) -> list[str]:
    """What it costs to count each request."""
    header = ("limits", "requests/s", "ratio to none", "CPU ms", "p50 ms", "p95 ms", "p99 ms")
    none = unlimited.samples["me"]
    cells = [
        [
            name,
            f"{median(found, 'rate'):,.0f}",
            f"{ratio(found, none):.2f}",
            f"{median(found, 'cpu'):.2f}",
            *percentiles(found),
        ]
        for name, found in (
            ("none", none),
            ("in memory", limited.samples["me"]),
            ("in Redis", shared.samples["me"]),
        )
    ]
    return [
        "## Counting requests",
        "",
        "The caller's account, by limits.",
        "",
        *table(header, cells),
    ]


def on_mysql(measured: Measured) -> list[str]:
    """The default service and the floor on MySQL or MariaDB."""
    title = ["## On MySQL and MariaDB", ""]
    if not measured.on_mysql:
        return [*title, "Left out: `TEST_MYSQL_URL` named no server.", ""]
    floor, ours = measured.on_mysql
    header = ("work", "service", "requests/s", "ratio", "CPU ms", "p50 ms", "p95 ms", "p99 ms")
    cells = [
        [
            TITLES[key].format(rows=measured.rows),
            program.name,
            f"{median(program.samples[key], 'rate'):,.0f}",
            f"{ratio(program.samples[key], floor.samples[key]):.2f}",
            f"{median(program.samples[key], 'cpu'):.2f}",
            *percentiles(program.samples[key]),
        ]
        for key in ours.measured
        for program in (floor, ours)
    ]
    server = measured.servers["mysql"]
    return [
        *title,
        f"{server}, median of {measured.fewer_rounds} rounds.",
        "",
        *table(header, cells),
    ]
