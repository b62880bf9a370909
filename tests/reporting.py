"""A pytest plugin: one line as each step of a combination ends, and all tables at the end."""

import re
from collections import defaultdict
from collections.abc import Generator, Iterable

import pytest

from tests import tables

STEP = re.compile(r"test_bakes\.py::test_(\w+)\[(.+?)\]")
COUNTS = re.compile(r"(\d+) passed")
PASSED = pytest.StashKey[bool]()
"""Whether a test itself has passed, for its fixtures."""


class Combinations:
    """Reports of the combinations, on the process that prints."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self.terminal = terminal
        self.reports: dict[str, list[pytest.TestReport]] = defaultdict(list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print what has just ended."""
        step = STEP.search(report.nodeid)
        if step and (report.when == "call" or not report.passed):
            self.reports[step[2]].append(report)
            name = step[1].replace("_", " ")
            line = f"{step[2]}: {name}: {report.outcome}, {report.duration:.0f} s {told(report)}"
            self.terminal.ensure_newline()
            self.terminal.write_line(line.strip())

    def pytest_terminal_summary(self) -> None:
        """Print the tables: of combinations, and those that tests have filled."""
        if self.reports:
            self.terminal.section("combinations")
            for line in tables.lines(cells(self.reports)):
                self.terminal.write_line(line)
        tables.show(self.terminal)


def told(report: pytest.TestReport) -> str:
    """What the project's own tests say of themselves."""
    return next((str(text) for name, text in report.user_properties if name == "tests"), "")


def cells(reports: dict[str, list[pytest.TestReport]]) -> tables.Cells:
    """For each combination: seconds, how many of its own tests passed, result."""
    found: tables.Cells = {}
    for name, of_combination in sorted(reports.items()):
        passed = [int(n) for report in of_combination for n in COUNTS.findall(told(report))]
        found[name, "seconds"] = f"{sum(report.duration for report in of_combination):.0f}"
        found[name, "tests"] = str(sum(passed))
        found[name, "result"] = result(of_combination)
    return found


def result(reports: Iterable[pytest.TestReport]) -> str:
    """Passed, or how many steps did not."""
    outcomes = [report.outcome for report in reports]
    counts = {each: outcomes.count(each) for each in ("failed", "skipped") if each in outcomes}
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "passed"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note what became of the test itself."""
    report = yield
    if call.when == "call":
        item.stash[PASSED] = report.passed
    return report


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Install it where pytest prints."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if isinstance(terminal, pytest.TerminalReporter) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Combinations(terminal), "combinations")
