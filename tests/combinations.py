"""Which answers are tested together: all combinations, covering arrays, each option alone."""

import itertools
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from covertable import make

ROOT = Path(__file__).parent.parent
HOUSE = ROOT / "{{cookiecutter.project_slug}}"
SOURCE: dict[str, Any] = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))

Answers = Mapping[str, Any]

# The options of which any three values meet in what is installed and tested, and at night all.
CORE = ("database", "use_celery", "use_graphql", "multi_tenancy", "include_example")
# At night, every three answers meet on a real server, and every combination of the core.
NIGHTLY = os.environ.get("NIGHTLY") == "1"
STRENGTH = 3 if NIGHTLY else 2

GUARD = re.compile(r"# \{% if (.*?) %\}")


def options() -> dict[str, list[Any]]:
    """Each option that changes what is generated, with its values; the one that adds least first."""
    found: dict[str, list[Any]] = {}
    for name, default in SOURCE.items():
        if name.startswith("_"):
            continue
        if isinstance(default, bool):
            found[name] = [False, True]
        elif isinstance(default, list):
            found[name] = default
    return found


def combinations(names: Iterable[str] | None = None) -> list[dict[str, Any]]:
    """Every combination of these options (by default of all), the others as in the smallest project."""
    chosen = options() if names is None else {name: options()[name] for name in names}
    products = itertools.product(*chosen.values())
    return [smallest() | dict(zip(chosen, values, strict=True)) for values in products]


def smallest() -> dict[str, Any]:
    """Every option off."""
    return {name: values[0] for name, values in options().items()}


def largest() -> dict[str, Any]:
    """Every option on, on the default database."""
    return {name: values[-1] for name, values in options().items()} | {
        "database": options()["database"][0]
    }


def extremes() -> list[dict[str, Any]]:
    """All off on each database, and all on."""
    return [smallest(), smallest() | {"database": "mysql"}, largest()]


def each_alone() -> list[dict[str, Any]]:
    """Every value of each option alone."""
    return [
        smallest() | {name: value} for name, values in options().items() for value in values[1:]
    ]


def entangled() -> list[tuple[str, ...]]:
    """Options that one condition names together: there all of their values meet."""
    named: list[Iterable[str]] = [rule["keep_when"] for rule in SOURCE["_prune"]]
    for path in HOUSE.rglob("*"):
        if path.is_file():
            conditions = GUARD.findall(path.read_text(encoding="utf-8", errors="ignore"))
            named += [re.findall(r"cookiecutter\.(\w+)", condition) for condition in conditions]
    groups = {tuple(name for name in options() if name in set(names)) for names in named}
    return sorted(
        group for group in groups if len(group) > 1 and not any(set(group) < set(g) for g in groups)
    )


def covering(
    strength: int = STRENGTH, including: Iterable[Answers] = (), *, meeting: bool = False
) -> list[dict[str, Any]]:
    """Few combinations in which all values of any `strength` options meet; those of entangled ones, if `meeting`."""
    known = options()
    presets = distinct(extremes(), [dict(answers) for answers in including])
    groups = [{"fields": list(group), "strength": len(group)} for group in entangled()]
    sub_models = groups if meeting else []
    rows: Any = make(known, strength=strength, presets=presets, sub_models=sub_models)
    return [{name: row[name] for name in known} for row in rows]


def complete(answers: Answers) -> dict[str, Any]:
    """These answers, and the defaults of the options that they leave out."""
    defaults = {
        name: SOURCE[name][0] if isinstance(SOURCE[name], list) else SOURCE[name]
        for name in options()
    }
    return defaults | dict(answers)


def identity(answers: Answers) -> str:
    """A readable name of a combination, for pytest."""
    return "-".join(
        name if value is True else f"no_{name}" if value is False else str(value)
        for name, value in answers.items()
    )


def parameter(answers: Answers) -> Any:  # noqa: ANN401, what pytest makes of it
    """A combination as pytest takes it; its tests run on one worker, which installs it once."""
    name = identity(answers)
    return pytest.param(answers, id=name, marks=pytest.mark.xdist_group(name))


def distinct(*parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each of these combinations once."""
    return [*{identity(answers): answers for part in parts for answers in part}.values()]


def rows() -> list[dict[str, Any]]:
    """What meets the real servers."""
    if NIGHTLY:
        return distinct(covering(including=each_alone(), meeting=True), combinations(CORE))
    return covering()


def installed() -> list[dict[str, Any]]:
    """What is installed: the same, and more that runs its tests at night only."""
    return covering(3, including=rows(), meeting=True)


def runs_without_a_server(answers: Answers) -> bool:
    """Whether it also runs without a real server: the smallest on each database, as the template's own tree has the rest."""
    return NIGHTLY or answers in (smallest(), smallest() | {"database": "mysql"})


COMBINATIONS = [parameter(answers) for answers in combinations()]
INSTALLED = [parameter(answers) for answers in installed()]
WITHOUT_A_SERVER = [parameter(each) for each in installed() if runs_without_a_server(each)]
ROWS = [parameter(answers) for answers in rows()]
ON_SQLITE = [
    row
    for row in ROWS
    if (NIGHTLY and row.values[0]["database"] == "postgresql") or row.values[0] == smallest()
]
