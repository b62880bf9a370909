"""Tables of results, which tests fill cell by cell, and pytest shows at the end."""

from collections.abc import Callable
from itertools import chain

import pytest

PREFIX = "table "
Record = Callable[[str, object], None]
Cells = dict[tuple[str, str], str]


def enter(record: Record, table: str, row: str, column: str, value: str) -> None:
    """Enter one cell; `record` is pytest's `record_property`, which workers pass on."""
    record(f"{PREFIX}{table}", (row, column, value))


def lines(cells: Cells) -> list[str]:
    """A table in Markdown."""
    rows, columns = (list(dict.fromkeys(key[i] for key in cells)) for i in (0, 1))
    table = [["", *columns], *([row, *(cells.get((row, c), "") for c in columns)] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    table.insert(1, ["-" * width for width in widths])
    return ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in table]


def show(reporter: pytest.TerminalReporter) -> None:
    """Show every table that a test of this run has filled."""
    tables: dict[str, Cells] = {}
    for report in chain.from_iterable(reporter.stats.values()):
        for name, value in getattr(report, "user_properties", ()):
            if name.startswith(PREFIX) and report.when == "call":
                row, column, cell = value
                tables.setdefault(name.removeprefix(PREFIX), {})[row, column] = cell
    for name, cells in sorted(tables.items()):
        reporter.section(name)
        for line in lines(cells):
            reporter.write_line(line)
