"""A pytest plugin: `--shard 2/4` runs the second of four parts; together they are all tests.

A part holds whole combinations and whole modules, so that each is installed once.
"""

import re

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take `--shard`."""
    parser.addoption("--shard", type=shard, metavar="N/M", help="run part N of M")


def shard(text: str) -> tuple[int, int]:
    """The number of a part, from zero, and how many there are."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise pytest.UsageError(f"--shard takes a part and their number, such as 2/4: {text}")
    return int(match[1]) - 1, int(match[2])


def unit(item: pytest.Item) -> str:
    """What is not divided: the tests of a group or else of a module."""
    group = item.get_closest_marker("xdist_group")
    return group.args[0] if group else item.nodeid.split("::")[0]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep one part."""
    chosen: tuple[int, int] | None = config.getoption("--shard")
    if chosen:
        number, count = chosen
        units = sorted({unit(item) for item in items})
        mine = set(units[number::count])
        others = [item for item in items if unit(item) not in mine]
        items[:] = [item for item in items if unit(item) in mine]
        config.hook.pytest_deselected(items=others)
