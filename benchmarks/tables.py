"""Tables in Markdown."""

from collections.abc import Iterable, Sequence

from benchmarks.wrk import Sample, median


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Its lines, and an empty one."""
    written = [f"| {' | '.join(cells)} |" for cells in (header, *rows)]
    return [written[0], "|" + "---|" * len(header), *written[1:], ""]


def percentiles(samples: Sequence[Sample]) -> list[str]:
    """The cells of three latencies."""
    return [f"{median(samples, each):.1f}" for each in ("p50", "p95", "p99")]
