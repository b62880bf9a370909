"""Sections of the page on what is not compared with the floor: growth, routing and generation."""

import statistics
from collections.abc import Mapping, Sequence

from benchmarks import goals
from benchmarks.generation import PREVIOUS
from benchmarks.goals import Verdicts
from benchmarks.growth import Depth
from benchmarks.routes import Route
from benchmarks.tables import percentiles, table
from benchmarks.wrk import Sample, median, ratio


def rows(
    by_rows: Mapping[int, Sequence[Sample]],
    depths: Sequence[Depth],
    rounds: int,
    verdicts: Verdicts,
) -> list[str]:
    """A page as rows grow, and one far from the first."""
    first = by_rows[min(by_rows)]
    header = ("rows", "requests/s", "ratio to fewest rows", "p50 ms", "p95 ms", "p99 ms")
    cells = [
        [
            f"{count:,}",
            f"{median(found, 'rate'):,.0f}",
            f"{ratio(found, first):.2f}",
            *percentiles(found),
        ]
        for count, found in by_rows.items()
    ]
    return [
        "## A page of 20 as rows grow",
        "",
        f"The first page of the default service, median of {rounds} rounds.",
        "",
        *table(header, cells),
        *deep_pages(depths, verdicts),
    ]


def deep_pages(depths: Sequence[Depth], verdicts: Verdicts) -> list[str]:
    """Pages far from the first in each order, and how the database finds them."""
    header = ("sort", "page", "p50 ms", "p95 ms", "p99 ms", "ratio of p50", "target")
    cells: list[list[str]] = []
    plans: list[str] = []
    for depth in depths:
        first, last = depth.pages[1], max(depth.pages)
        for number, found in depth.pages.items():
            times = ratio(found, first, "p50")
            limit = goals.DEPTH if number == last else None
            verdict = verdicts.at_most(f"page {number:,} by {depth.sort}", times, limit)
            latencies = [f"{median(found, name):.2f}" for name in ("p50", "p95", "p99")]
            page = [f"`{depth.sort}`", f"{number:,}"]
            cells.append([*page, *latencies, f"{times:.2f}", verdict])
        plans += [f"The plan of page {last:,} by `{depth.sort}`:", ""]
        plans += ["```text", *depth.plan, "```", ""]
    return [
        f"Pages of {depths[0].rows:,} rows, all but the first by a cursor; one client:",
        "",
        *table(header, cells),
        *plans,
    ]


def connections(
    by_connections: Mapping[int, Sequence[Sample]], rounds: int, seconds: int
) -> list[str]:
    """The caller's account as connections grow."""
    header = ("connections", "requests/s", "p50 ms", "p95 ms", "p99 ms", "failed requests")
    cells = [
        [
            f"{count:,}",
            f"{median(found, 'rate'):,.0f}",
            *percentiles(found),
            f"{sum(each.errors for each in found):,}",
        ]
        for count, found in by_connections.items()
    ]
    return [
        "## The caller's account as connections grow",
        "",
        f"The default service, median of {rounds} rounds of {seconds} s, which begin with opening the connections; failed requests of all rounds.",
        "",
        *table(header, cells),
    ]


def routes(count: int, compared: Sequence[Route], verdicts: Verdicts) -> list[str]:
    """What the other routes cost."""
    header = ("place", "route", "status", "microseconds", "ratio", "target")
    cells = [
        [
            *(
                each.place,
                f"`{each.name}`",
                str(each.status),
                f"{each.microseconds:.0f}",
                f"{each.ratio:.2f}",
            ),
            verdicts.at_least(f"route ({each.place})", each.ratio, goals.ROUTES),
        ]
        for each in compared
    ]
    return [
        "## A route among all others",
        "",
        f"The project with every option has {count} routes. *Ratio* is requests per second to the same application with that"
        " route only: calls in the process, without a server and without a token, so that finding the route has its largest share."
        f" The worst ratio is {min(each.ratio for each in compared):.2f}.",
        "",
        *table(header, cells),
    ]


def generation(steps: Mapping[str, Sequence[float]], verdicts: Verdicts) -> list[str]:
    """Bakes and an update."""
    names = {
        "cookiecutter": "bake with cookiecutter",
        "copier": "bake with Copier",
        "update": f"`copier update` from {PREVIOUS}",
    }
    header = ("step", "seconds", "target")
    cells = [
        [
            names[step],
            f"{(value := statistics.median(found)):.2f}",
            verdicts.at_most(names[step], value, goals.STEPS[step]),
        ]
        for step, found in steps.items()
    ]
    return [
        "## Generation",
        "",
        "Without the time to import the engine.",
        "",
        *table(header, cells),
    ]
