"""How a page changes with the number of rows, and a small request with that of connections."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx2

from benchmarks.databases import POSTGRESQL, execute
from benchmarks.programs import Program, serving
from benchmarks.services import INSIDE, command_in
from benchmarks.wrk import Sample, Server, Work, measure, measure_answered

PAGE_SIZE = 20
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
    """Pages at different depths."""

    rows: int
    pages: Mapping[int, Sequence[Sample]]
    """By their number: the first, the second, and one far from them."""
    plan: Sequence[str]
    """Of the last of them."""


def with_rows(
    program: Program, steps: Sequence[int], *, rounds: int, seconds: int
) -> tuple[Mapping[int, Sequence[Sample]], Depth]:
    """The first page at each number of rows, and a deep one at the last."""
    found: dict[int, list[Sample]] = {}
    made = 0
    with serving(program) as server:
        for rows in steps:
            add(program, made + 1, rows)
            made = rows
            page = program.works["page"]
            found[rows] = [measure_answered(server, page, seconds) for _ in range(rounds)]
            print(f"{rows:,} rows: {found[rows][0].rate:.0f}/s", flush=True)
        return found, deep(program, server, made, rounds=rounds, seconds=seconds)


def add(program: Program, first: int, last: int) -> None:
    """Insert these rows, and bring the statistics up to date."""
    insert = INSERT.format(first=first, last=last)
    analyze = POSTGRESQL.analyze.format(table=program.table)
    execute(program.project, program.url, insert, analyze)


def deep(program: Program, server: Server, rows: int, *, rounds: int, seconds: int) -> Depth:
    """Down to a fifth of the rows, each page by its cursor: with one client, to compare latencies."""
    number = rows // PAGE_SIZE // 5
    path = INSIDE / "deep_page.py"
    output = command_in(program.project, "python", path, str(number), **program.environ)
    answer = json.loads(output.splitlines()[-1])
    first = replace(program.works["page"], connections=1)
    after = f"{first.path}&cursor="
    second = replace(first, path=after + get(server, first)["next_cursor"])
    far = replace(first, path=after + answer["cursor"])
    assert get(server, far)["items"][0]["id"] == answer["first"], "the cursor leads to another page"
    pages: dict[int, list[Sample]] = {1: [], 2: [], number: []}
    for _ in range(rounds):
        for page, work in zip(pages, (first, second, far), strict=True):
            pages[page].append(measure_answered(server, work, seconds))
            print(f"page {page:,}: {pages[page][-1].p50:.2f} ms", flush=True)
    return Depth(rows, pages, answer["plan"])


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
