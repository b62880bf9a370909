"""Requests per second, latency and CPU time of generated services beside a minimal FastAPI program.

All run with production settings on one server, one at a time, in interleaved rounds, under `wrk`; then growth,
routing and generation. Writes docs/performance.md. TEST_POSTGRES_URL names a login that may create databases and
roles, TEST_REDIS_URL a broker, and TEST_MYSQL_URL, if given, a login of MySQL or MariaDB that may create
databases and users.
"""

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import generation, growth, routes
from benchmarks.databases import MYSQL, POSTGRESQL, Engine, database, version
from benchmarks.processes import memory
from benchmarks.programs import GRAPHQL, Program, fill, floor, limits, service, serving
from benchmarks.report import Measured, page
from benchmarks.services import BUILD, ROOT, installed
from benchmarks.wrk import measure_answered

CONNECTIONS = (1, 10, 100, 1000)


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    rounds: int = 5
    fewer_rounds: int = 3
    """On MySQL, of growth, and of generation."""
    seconds: int = 3
    """Of each round."""
    rows: int = 10_000
    growth: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    route_rounds: int = 100
    output: Path = ROOT / "docs" / "performance.md"


# Whether all of it works: these figures are worth nothing.
QUICK = Extent(1, 1, 1, 500, (1_000, 10_000), 5, BUILD / "performance.md")

NewDatabase = Callable[[str], str]
"""The URL of a new database of this name, which is dropped at the end of the run."""


def on_server(stack: ExitStack, engine: Engine, server: str, project: Path) -> NewDatabase:
    """Databases on this server; the project has its driver."""
    return lambda name: stack.enter_context(database(project, engine, server, name))


def run(programs: Sequence[Program], rounds: int, seconds: int) -> None:
    """Interleaved rounds: all programs in turn, and again."""
    for _ in range(rounds):
        for program in programs:
            with serving(program) as server:
                for key in program.measured:
                    work = program.works[key]
                    beside = program.works[work.beside] if work.beside else None
                    sample = measure_answered(server, work, seconds, beside)
                    program.samples.setdefault(key, []).append(sample)
                    print(
                        f"{program.name}: {key} {sample.rate:.0f}/s {sample.cpu:.2f} ms", flush=True
                    )
                time.sleep(2)  # the hashes of callers who have left
                program.memory.append(memory(server.pid))


def on_postgresql(project: Path, new: NewDatabase, broker: str, extent: Extent) -> list[Program]:
    """The floor, services, and the default one with two workers."""
    tenants = installed("tenants", "use_celery=true", "multi_tenancy=row")
    graphql = installed("graphql", "use_graphql=true")
    default = service("default", project, new("default"))
    programs = [
        floor("floor", project, POSTGRESQL, new("floor")),
        default,
        service(
            "tenants",
            tenants,
            new("tenants"),
            CELERY_BROKER_URL=broker,
            LIMITS_TENANT="999999999/m",
        ),
        service("graphql", graphql, new("graphql"), GRAPHQL, ("live", "page", "create", "login")),
    ]
    for program in programs:
        fill(program, POSTGRESQL, extent.rows)
    programs += [
        default.variant("2 workers", ("me", "page"), "--workers", "2"),
        default.variant("without limits", ("me",), **limits("off")),
        default.variant("limits in Redis", ("me",), REDIS_URL=broker),
    ]
    run(programs, extent.rounds, extent.seconds)
    return programs


def on_mysql(project: Path, new: NewDatabase, extent: Extent) -> list[Program]:
    """The floor, and the default service."""
    works = ("me", "page", "create")
    programs = [
        floor("floor on MySQL", project, MYSQL, new("floor"), works),
        service("default on MySQL", project, new("default"), measured=works),
    ]
    for program in programs:
        fill(program, MYSQL, extent.rows)
    run(programs, extent.fewer_rounds, extent.seconds)
    return programs


def measure(
    stack: ExitStack, extent: Extent, server: str, mysql: str | None, broker: str
) -> Measured:
    """All of it."""
    project = installed("default")
    servers = {"postgresql": version(project, POSTGRESQL, server)}
    new = on_server(stack, POSTGRESQL, server, project)
    programs = on_postgresql(project, new, broker, extent)
    mysql_programs: list[Program] = []
    if mysql:
        mysql_project = installed("mysql", "database=mysql")
        servers["mysql"] = version(mysql_project, MYSQL, mysql)
        mysql_new = on_server(stack, MYSQL, mysql, mysql_project)
        mysql_programs = on_mysql(mysql_project, mysql_new, extent)
    fewer, seconds = extent.fewer_rounds, extent.seconds
    growing = service("growth", project, new("growth"))
    by_rows, depths = growth.with_rows(growing, extent.growth, rounds=fewer, seconds=seconds)
    longer = 2 * seconds  # opening a thousand connections takes long
    by_connections = growth.with_connections(growing, CONNECTIONS, rounds=fewer, seconds=longer)
    route_count, compared = routes.compare(extent.route_rounds)
    return Measured(
        rounds=extent.rounds,
        fewer_rounds=fewer,
        seconds=seconds,
        rows=extent.rows,
        servers=servers,
        programs=programs,
        on_mysql=mysql_programs,
        by_rows=by_rows,
        depths=depths,
        by_connections=by_connections,
        connection_seconds=longer,
        route_count=route_count,
        routes=compared,
        generation=generation.measure(fewer),
    )


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rounds", type=int, help="of the comparisons with the floor on PostgreSQL"
    )
    parser.add_argument("--seconds", type=int, help="of each round")
    where = QUICK.output.relative_to(ROOT)
    parser.add_argument("--quick", action="store_true", help=f"try all of it; writes {where}")
    options = parser.parse_args()
    extent = QUICK if options.quick else Extent()
    given = {"rounds": options.rounds, "seconds": options.seconds}
    extent = replace(extent, **{name: value for name, value in given.items() if value})
    server, broker = os.environ.get("TEST_POSTGRES_URL"), os.environ.get("TEST_REDIS_URL")
    if not server or not broker:
        sys.exit("set TEST_POSTGRES_URL and TEST_REDIS_URL, whose servers the services use")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # for the connections, on both sides
    with ExitStack() as stack:
        measured = measure(stack, extent, server, os.environ.get("TEST_MYSQL_URL"), broker)
    extent.output.write_text(page(measured), encoding="utf-8")
    print(f"written: {extent.output}")


if __name__ == "__main__":
    main()
