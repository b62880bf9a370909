"""What the tools write from `cookiecutter.json` and from the models, and that `--check` compares it."""

import os
import subprocess
from pathlib import Path

import pytest
from jinja2 import Environment

from tests.template import HOUSE, TOOLS, edit
from tests.test_in_place import BIN, ELSEWHERE
from tools import write_copier

PLAIN = {
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
}  # what is written is UTF-8 anyway


def attempt(
    python: Path, script: str, folder: Path, *arguments: str, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run a tool of the template in `folder`."""
    return subprocess.run(
        [python, f"tools/{script}.py", *arguments],
        cwd=folder,
        env=os.environ | ELSEWHERE | PLAIN | environ,
        capture_output=True,
        text=True,
        check=False,
    )


# Of each tool: the Python that runs it, what it writes, a change of what it is written from, and what it says then.
TOOL = {
    "write_copier": (
        TOOLS / "python",
        "copier.yml",
        ("cookiecutter.json", '"Acme API"', '"Another"'),
        "copier.yml is out of date with cookiecutter.json: run `make copier`\n",
    ),
    "write_initial_migration": (
        BIN / "python",
        f"{HOUSE.name}/migrations/versions/0001_initial.py",
        (f"{HOUSE.name}/app/features/products/models.py", "String(200)", "String(201)"),
        "0001_initial.py is out of date with the models: run `make initial-migration`\n",
    ),
}


@pytest.mark.parametrize("script", TOOL)
def test_a_generated_file_is_written_and_compared(own_template: Path, script: str) -> None:
    python, name, (source, old, new), stale = TOOL[script]
    path = own_template / name
    before = path.read_bytes()
    told = attempt(python, script, own_template, "--check")
    assert (told.returncode, told.stdout) == (0, ""), told.stderr

    edit(own_template / source, old, new)
    told = attempt(python, script, own_template, "--check")
    assert (told.returncode, told.stdout) == (1, stale)
    assert path.read_bytes() == before, "it only compares"
    told = attempt(python, script, own_template)
    assert (told.returncode, told.stdout) == (0, "")
    assert path.read_bytes() != before
    edit(own_template / source, new, old)

    path.unlink()
    if script == "write_initial_migration":
        path.parent.rmdir()
    told = attempt(python, script, own_template, "--check")
    assert (told.returncode, told.stdout) == (1, stale)
    told = attempt(python, script, own_template)
    assert (told.returncode, told.stdout, path.read_bytes()) == (0, "", before)


def test_a_table_of_the_migration_may_need_two_answers(own_template: Path) -> None:
    python, name, *_ = TOOL["write_initial_migration"]
    rule = '{"keep_when": {"include_example": true'
    edit(own_template / "cookiecutter.json", rule, f'{rule}, "use_celery": true')

    told = attempt(python, "write_initial_migration", own_template)

    assert told.returncode == 0, told.stderr
    guard = "    # {% if cookiecutter.include_example and cookiecutter.use_celery %}\n"
    written = (own_template / name).read_text(encoding="utf-8")
    assert f'{guard}    op.create_table(\n        "products"' in written
    assert f'{guard}    op.drop_table("products")' in written


def test_a_formatter_that_fails_leaves_the_migration_as_it_was(
    own_template: Path, tmp_path: Path
) -> None:
    python, name, *_ = TOOL["write_initial_migration"]
    before = (own_template / name).read_bytes()
    (tmp_path / "ruff").write_text("#!/bin/sh\nexit 1\n", encoding="ascii")
    (tmp_path / "ruff").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"

    told = attempt(python, "write_initial_migration", own_template, PATH=path)

    assert told.returncode == 1
    assert (own_template / name).read_bytes() == before


@pytest.mark.parametrize("text", ["it's", 'a "b"', "back\\slash", "'\\'"])
def test_a_text_stays_itself_in_an_expression(text: str) -> None:
    expression = write_copier.quoted(text)

    assert Environment().from_string(f"{{{{ {expression} }}}}").render() == text  # noqa: S701, no HTML
