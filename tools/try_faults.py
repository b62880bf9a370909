"""Bring known faults into copies of the template, and see which test notices each: `make faults`."""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
HOUSE = "{{cookiecutter.project_slug}}"
BUILD = ROOT / "build"
FAULTS = ROOT / "tests" / "faults.toml"
IN_PLACE = "tree: "  # begins tests of the template's own tree, run unrendered
FAILED = re.compile(r"^(?:FAILED|ERROR) ((?:app|tests)/\S+\.py\S*)", re.MULTILINE)


@dataclass(frozen=True)
class Fault:
    """What is wrong, in which combinations, and the tests that must notice it."""

    name: str
    tests: list[str]
    edits: list[dict[str, str]]
    only: str = "all"


def listed() -> list[str]:
    """The files that a commit of this work tree would have."""
    command = ["git", "ls-files", "-z", "-co", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split("\0") if (ROOT / name).is_file()]


def copy(target: Path) -> None:
    """This work tree, over the same environments."""
    for name in listed():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name)
    (target / "build").mkdir()
    for name in ("tools", "house", "uv"):
        (target / "build" / name).symlink_to(BUILD / name)
    subprocess.run(["git", "init", "--quiet"], cwd=target, check=True)


def edit(folder: Path, change: dict[str, str]) -> None:
    """Replace a text, write a file, or delete one."""
    path = folder / change["in"].replace("tree/", f"{HOUSE}/", 1)
    old, new = change.get("old"), change.get("new")
    if new is None:
        path.unlink()
        return
    text = new
    if old is not None:
        before = path.read_bytes().decode()
        if before.count(old) != 1:
            raise ValueError(f"{change['in']} has this {before.count(old)} times: {old}")
        text = before.replace(old, new)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())


def command(tests: str) -> tuple[list[str | Path], bool]:
    """How to run tests, and whether they are those of the tree itself."""
    in_place = tests.startswith(IN_PLACE)
    words = shlex.split(tests.removeprefix(IN_PLACE))
    python = BUILD / ("house" if in_place else "tools") / "bin/python"
    options = ["-p", "no:cacheprovider", "-p", "no:randomly"] if in_place else []
    return [python, "-m", "pytest", "-q", *options, *words], in_place


def caught_by(folder: Path, tests: str, data: Path) -> list[str]:
    """The tests that fail in this copy, each once whatever its parameters."""
    words, in_place = command(tests)
    environ = os.environ | {
        "DATA_DIR": str(data),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(data / "hypothesis"),
        "PATH": f"{BUILD / 'house/bin'}:{os.environ['PATH']}" if in_place else os.environ["PATH"],
        "PYTHONPYCACHEPREFIX": str(data / "pycache"),
    }
    if not in_place:
        words.append(f"--basetemp={data / 'pytest'}")
    done = subprocess.run(
        words,
        cwd=folder / HOUSE if in_place else folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in {0, 1, 2}:  # passed, failed, or not even collected
        raise RuntimeError(f"{tests}\n{done.stdout}\n{done.stderr}")
    found = (name.split("[")[0] for name in FAILED.findall(done.stdout))
    return list(dict.fromkeys(found))


def attempt(fault: Fault) -> dict[str, list[str]]:
    """For each of its tests, which ones notice the fault."""
    with tempfile.TemporaryDirectory(prefix="fault-") as temporary:
        folder = Path(temporary) / "template"
        folder.mkdir()
        copy(folder)
        for change in fault.edits:
            edit(folder, change)
        return {
            tests: caught_by(folder, tests, Path(temporary) / f"data{number}")
            for number, tests in enumerate(fault.tests)
        }


def row(fault: Fault, noticed: dict[str, list[str]]) -> str:
    """A line of the table."""
    names = [f"`{name}`" for found in noticed.values() for name in found]
    silent = [f"**not** `{tests}`" for tests, found in noticed.items() if not found]
    return f"| {fault.name} | {fault.only} | {'<br>'.join([*names, *silent])} |"


def main() -> int:
    """Try all faults, or those whose name contains a word."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("word", nargs="?", default="", help="only faults whose name contains this")
    word: str = parser.parse_args().word
    known: list[dict[str, Any]] = tomllib.loads(FAULTS.read_text(encoding="utf-8"))["fault"]
    rows = ["| fault | shows in | noticed by |", "|---|---|---|"]
    escaped = 0
    for fault in (Fault(**each) for each in known if word in each["name"]):
        noticed = attempt(fault)
        escaped += not all(noticed.values())
        rows.append(row(fault, noticed))
        print(rows[-1], flush=True)
    (BUILD / "faults.md").write_text("\n".join([*rows, ""]), encoding="utf-8")
    print(f"{len(rows) - 2} faults, {escaped} of them not noticed by a test that must notice it")
    return 1 if escaped else 0


if __name__ == "__main__":
    sys.exit(main())
