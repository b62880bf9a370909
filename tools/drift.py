"""Test generated projects with the versions that the package index offers today; `make drift`.

On each Python that the template claims and this machine has, a project is installed with the newest
versions and with the lowest that it declares, and its tests run. Then the oldest date is computed at
which the requirements resolve. Prints one table; fails if any row failed, after all were tried.
"""

import argparse
import re
import shutil
import subprocess
import sys
import time
import tomllib
from bisect import bisect_left
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.combinations import HOUSE, ROOT, largest, options
from tests.template import bake_with_copier, environment, export

FOLDER = ROOT / "build" / "drift"
# Those of `uv sync --resolution`, and what they are called here.
RESOLUTIONS = {"highest": "newest", "lowest-direct": "lowest"}
PASSED = "passed"
TAIL = 60


@dataclass(frozen=True)
class Row:
    """What happened to one project."""

    python: str
    versions: str
    database: str
    seconds: int
    tests: str
    result: str


def configuration() -> dict[str, Any]:
    """The `pyproject.toml` of the template's tree, which has the requirements of every option."""
    return tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))


def claimed() -> list[str]:
    """The versions of Python in `requires-python`."""
    first, end = re.findall(r"3\.(\d+)", configuration()["project"]["requires-python"])
    return [f"3.{minor}" for minor in range(int(first), int(end))]


def interpreter(python: str) -> str:
    """The path of this Python; empty if it is not installed."""
    command = ["uv", "python", "find", "--no-project", "--system", python]
    done = subprocess.run(
        command, cwd="/", env=environment(), capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def steps(project: Path, path: str, resolution: str) -> dict[str, list[str]]:
    """The commands that must succeed in it."""
    return {
        "installation": [*uv(project), "sync", "--python", path, "--resolution", resolution],
        "tests": [*uv(project), "run", "--no-sync", "pytest", "-q"],
    }


def uv(project: Path) -> list[str]:
    """Call uv in this project."""
    return ["uv", "--quiet", "--project", str(project), "--directory", str(project)]


def attempt(template: Path, python: str, resolution: str, database: str) -> Row:
    """Generate a project with every option, install it and run its tests."""
    versions = RESOLUTIONS[resolution]
    if not (path := interpreter(python)):
        return Row(python, versions, database, 0, "", "Python is not installed")
    name = f"{Path(python).name}-{versions}-{database}"
    started, log = time.monotonic(), FOLDER / f"{name}.log"
    project = bake_with_copier(template, FOLDER / name, largest() | {"database": database})
    result = PASSED
    for step, command in steps(project, path, resolution).items():
        if not succeeds(command, log):
            result = f"{step} failed"
            break
    passed = re.findall(r"(\d+) passed", log.read_text(encoding="utf-8"))
    seconds = int(time.monotonic() - started)
    return Row(python, versions, database, seconds, passed[-1] if passed else "", result)


def succeeds(command: list[str], log: Path) -> bool:
    """Run it without any date, appending its output to `log`; on failure show the end of that."""
    with log.open("ab") as output:
        done = subprocess.run(
            command,
            env=environment(UV_EXCLUDE_NEWER="false"),
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        lines = log.read_text(encoding="utf-8").splitlines()
        print(f"{log}:", *lines[-TAIL:], sep="\n", flush=True)
    return done.returncode == 0


def oldest() -> str:
    """The first day of the year before `exclude-newer` as of which all requirements resolve."""
    project = FOLDER / "oldest"
    project.mkdir()
    shutil.copy(HOUSE / "pyproject.toml", project)
    newest = datetime.fromisoformat(configuration()["tool"]["uv"]["exclude-newer"])
    days = [newest - timedelta(days=ago) for ago in range(365, -1, -1)]

    def resolves(day: datetime) -> bool:
        command = [*uv(project), "lock", "--exclude-newer", day.astimezone(UTC).isoformat()]
        done = subprocess.run(command, env=environment(), capture_output=True, check=False)
        return done.returncode == 0

    return f"{days[bisect_left(days, True, hi=len(days) - 1, key=resolves)]:%Y-%m-%d}"


def table(rows: list[Row]) -> str:
    """The rows in columns under their names."""
    names = [field.name for field in fields(Row)]
    lines = [names, *([str(cell) for cell in astuple(row)] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def main() -> int:
    """Try everything, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("python", nargs="*", help="version or path; default: all that are claimed")
    pythons: list[str] = parser.parse_args().python
    shutil.rmtree(FOLDER, ignore_errors=True)
    template = export(FOLDER / "template")
    rows: list[Row] = []
    for python in pythons or filter(interpreter, claimed()):
        for resolution in RESOLUTIONS:
            for database in options()["database"]:
                rows.append(attempt(template, python, resolution, database))
                print(*astuple(rows[-1]), flush=True)
    date = oldest()
    stated = date in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    print(f"\n{table(rows)}\n\nThe requirements resolve as of {date} and later.")
    if not stated:
        print("CONTRIBUTING.md states another date.")
    missing = [python for python in claimed() if not interpreter(python)]
    if missing and not pythons:
        print(f"Not installed, and not tested: {', '.join(missing)}.")
    return 0 if stated and rows and all(row.result == PASSED for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
