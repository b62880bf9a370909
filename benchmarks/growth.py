"""How a page changes with the number of rows, and a small request with that of connections."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2

from benchmarks.databases import POSTGRESQL, execute
from benchmarks.programs import Program, serving
from benchmarks.services import INSIDE, command_in
from benchmarks.wrk import Sample, Server, Work, measure, measure_answered

PAGE_SIZE = 20
SORTS = ("-created_at", "name", "price", "sku")
"""All columns that products can be sorted by."""
# Rows with the numbers {first} to {last}, a second apart, and with time-ordered ids as the service makes them.
INSERT = """
INSERT INTO products (id, created_at, updated_at, sku, name, description, price, currency, stock, version)
SELECT
    (lpad(to_hex(1000 * second), 12, '0') || '7' || substr(hash, 1, 3) || '8' || substr(hash, 4, 15))::uuid,
    to_timestamp(second), to_timestamp(second), 'SKU-' || number, 'Product ' || number, '', number % 10000, 'EUR', 0, 1
FROM (
    SELECT number, 1767225600 + number::bigint AS second, md5(number::text) AS hash
    FROM generate_series({first}, {last}) AS number
) AS numbers
"""


@dataclass(frozen=True)
class Depth:
    """Pages at different depths, in one order."""

    sort: str
    rows: int
    works: Mapping[int, Work]
    """By their number: the first, the second, and one far from them."""
    plan: Sequence[str]
    """Of the last of them."""
    pages: dict[int, list[Sample]] = field(default_factory=dict[int, list[Sample]])


def with_rows(
    program: Program, steps: Sequence[int], *, rounds: int, seconds: int
) -> tuple[Mapping[int, Sequence[Sample]], Sequence[Depth]]:
    """The first page at each number of rows, and a deep one in each order at the last."""
    found: dict[int, list[Sample]] = {}
    made = 0
    with serving(program) as server:
        for rows in steps:
            add(program, made + 1, rows)
            made = rows
            page = program.works["page"]
            found[rows] = [measure_answered(server, page, seconds) for _ in range(rounds)]
            print(f"{rows:,} rows: {found[rows][0].rate:.0f}/s", flush=True)
        deep = [Depth(sort, made, *prepare(program, server, sort, made)) for sort in SORTS]
        for depth in deep:
            measure_pages(server, depth, rounds, seconds)
        return found, deep


def add(program: Program, first: int, last: int) -> None:
    """Insert these rows, and bring the statistics up to date."""
    insert = INSERT.format(first=first, last=last)
    analyze = POSTGRESQL.analyze.format(table=program.table)
    execute(program.project, program.url, insert, analyze)


def prepare(
    program: Program, server: Server, sort: str, rows: int
) -> tuple[Mapping[int, Work], Sequence[str]]:
    """Pages by their numbers, down to a fifth of the rows, each by its cursor; and the plan of the last.

    One client requests them, to compare latencies.
    """
    number = rows // PAGE_SIZE // 5
    path = INSIDE / "deep_page.py"
    output = command_in(program.project, "python", path, sort, str(number), **program.environ)
    answer = json.loads(output.splitlines()[-1])
    page = program.works["page"]
    first = replace(page, path=f"{page.path}&sort={sort}", connections=1)
    after = f"{first.path}&cursor="
    second = replace(first, path=after + get(server, first)["next_cursor"])
    far = replace(first, path=after + answer["cursor"])
    assert get(server, far)["items"][0]["id"] == answer["first"], "the cursor leads to another page"
    return {1: first, 2: second, number: far}, answer["plan"]


def measure_pages(server: Server, depth: Depth, rounds: int, seconds: int) -> None:
    """In turn."""
    for _ in range(rounds):
        for number, work in depth.works.items():
            sample = measure_answered(server, work, seconds)
            depth.pages.setdefault(number, []).append(sample)
            print(f"{depth.sort}, page {number:,}: {sample.p50:.2f} ms", flush=True)


def get(server: Server, work: Work) -> dict[str, Any]:
    """A page."""
    headers = {"Authorization": f"Bearer {server.token}"}
    answer = httpx2.get(server.base + work.path, headers=headers, trust_env=False)
    return answer.raise_for_status().json()


def with_connections(
    program: Program, steps: Sequence[int], *, rounds: int, seconds: int
) -> Mapping[int, Sequence[Sample]]:
    """The caller's account at each number of connections; failed requests are counted."""
    found: dict[int, list[Sample]] = {step: [] for step in steps}
    with serving(program) as server:
        for _ in range(rounds):
            for step in steps:
                work = replace(program.works["me"], connections=step)
                found[step].append(measure(server, work, seconds))
                print(f"{step:,} connections: {found[step][-1].rate:.0f}/s", flush=True)
    return found
