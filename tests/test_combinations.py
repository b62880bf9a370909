"""The combinations that are tested are enough, and no shard leaves one out."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from tests.combinations import (
    CORE,
    INSTALLED,
    NIGHTLY,
    ROWS,
    WITHOUT_A_SERVER,
    covering,
    each_alone,
    entangled,
    extremes,
    options,
    smallest,
)
from tests.sharding import shard
from tests.template import ROOT, TOOLS, run

SHARDS = 2


def uncovered(rows: list[dict[str, Any]], names: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """Values of these options that meet in no row."""
    met = {tuple(row[name] for name in names) for row in rows}
    possible = itertools.product(*(options()[name] for name in names))
    return [values for values in possible if values not in met]


@pytest.mark.parametrize("strength", [2, 3])
def test_all_values_of_any_options_meet(strength: int) -> None:
    rows = covering(strength)

    for names in itertools.combinations(options(), strength):
        assert uncovered(rows, names) == [], names
    assert len(rows) == len({tuple(row.values()) for row in rows})


def test_all_values_of_options_that_one_condition_names_meet_in_what_is_installed() -> None:
    assert ("database", "multi_tenancy", "include_example") in entangled()
    found = [case.values[0] for case in INSTALLED]

    for names in entangled():
        assert uncovered(found, names) == [], names


def test_nothing_everything_and_at_night_each_option_alone_meets_real_servers() -> None:
    found = [case.values[0] for case in ROWS]

    for answers in [*extremes(), *(each_alone() if NIGHTLY else [])]:
        assert answers in found


def test_any_three_answers_meet_in_what_is_installed_and_at_night_all() -> None:
    found = [case.values[0] for case in INSTALLED]

    for names in itertools.combinations(CORE, len(CORE) if NIGHTLY else 3):
        assert uncovered(found, names) == [], names
    assert len(found) == len({tuple(row.values()) for row in found})
    assert all(row.values[0] in found for row in ROWS)


def test_any_two_answers_meet_in_what_runs_its_tests_and_at_night_all() -> None:
    found = [case.values[0] for case in ROWS]

    for names in itertools.combinations(CORE, len(CORE) if NIGHTLY else 2):
        assert uncovered(found, names) == [], names
    without = [case.values[0] for case in (INSTALLED if NIGHTLY else [])]
    for answers in [smallest(), smallest() | {"database": "mysql"}, *without]:
        assert answers in [case.values[0] for case in WITHOUT_A_SERVER]


def collected(*arguments: str, cwd: Path = ROOT) -> list[str]:
    """The tests that pytest would run."""
    listed = run(TOOLS / "pytest", "--collect-only", "-q", "-n0", *arguments, cwd=cwd).stdout
    return [line for line in listed.splitlines() if "::" in line]


def test_shards_divide_all_tests() -> None:
    whole = collected()
    shards = [collected("--shard", f"{number}/{SHARDS}") for number in range(1, SHARDS + 1)]

    assert sorted(itertools.chain(*shards)) == sorted(whole)
    assert all(len(part) > len(whole) / SHARDS / 3 for part in shards)
    for answers in INSTALLED:
        of_combination = [
            any("test_bakes.py::" in test and f"[{answers.id}]" in test for test in part)
            for part in shards
        ]
        assert sum(of_combination) == 1, answers.id


@pytest.mark.parametrize("text", ["0/4", "5/4", "2", "a/b", "1/0"])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(pytest.UsageError, match="--shard takes"):
        shard(text)
