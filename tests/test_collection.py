"""No test is left out silently: neither by a configuration, nor because it is not collected."""

import re
import shlex
from pathlib import Path

import pytest

from tests.template import HOUSE, ROOT, TOOLS, run
from tests.test_in_place import BIN, ELSEWHERE

# What silently disables tests. Only the mark `slow` is allowed, for `make test-all`.
LEAVING_OUT = re.compile(
    r"(?<![\w-])(--ignore(-glob)?|--deselect|-k|--lf|--last-failed|--sw|--stepwise)(?![\w-])"
    r"|collect_ignore|ignore_collect|collection_modifyitems|norecursedirs|python_(files|classes|functions)"
)
CONFIGURATION = [
    "pyproject.toml",
    "Makefile",
    ".github/workflows/ci.yml",
    ".pre-commit-config.yaml",
]


def sources(folder: Path, name: str) -> list[Path]:
    """Files of this name among the tests of the template or of the project."""
    found = (folder / "tests").rglob(name) if folder == ROOT else HOUSE.rglob(name)
    return [path for path in found if "tests" in path.parts or path.parent == HOUSE]


@pytest.mark.parametrize("folder", [ROOT, HOUSE], ids=["template", "project"])
def test_no_configuration_leaves_tests_out(folder: Path) -> None:
    texts = [folder / name for name in CONFIGURATION]

    for path in [*texts, *sources(folder, "conftest.py"), ROOT / ".ci/run"]:
        found = LEAVING_OUT.search(path.read_text(encoding="utf-8"))
        assert not found, f"{found[0]} in {path}"


@pytest.mark.parametrize(
    ("folder", "pytest_there", "target", "gate"),
    [(ROOT, TOOLS, "test", ".ci/run"), (HOUSE, BIN, "coverage", ".github/workflows/ci.yml")],
    ids=["template", "project"],
)
def test_every_test_is_collected(folder: Path, pytest_there: Path, target: str, gate: str) -> None:
    """With the arguments of the recipe that the gate runs, each file that defines a test."""
    assert re.search(rf"make {target}$", (folder / gate).read_text("utf-8"), re.MULTILINE)
    recipe = run("make", "-n", target, cwd=folder).stdout
    call = re.search(r'pytest"? (.*?)(?:; |$)', recipe, re.MULTILINE)
    assert call
    given = shlex.split(call[1])
    chosen = [word for word in given if not word.startswith(("--basetemp", "--cov"))]
    command = [pytest_there / "pytest", *chosen, "-n0", "--collect-only", "-q"]
    if folder == HOUSE:  # where no cache may be
        command += ["-p", "no:cacheprovider"]
    listed = run(*command, cwd=folder, **ELSEWHERE).stdout

    collected = {line.split("::")[0] for line in listed.splitlines() if "::" in line}
    define = re.compile(r"^(async )?def test_", re.MULTILINE)
    assert collected == {
        path.relative_to(folder).as_posix()
        for path in sources(folder, "*.py")
        if define.search(path.read_text(encoding="utf-8"))
    }
