"""What the tools write from `cookiecutter.json` and from the models, and that `--check` compares it."""

import os
import subprocess
from pathlib import Path

import pytest
from jinja2 import Environment

from tests.template import HOUSE, ROOT, edit
from tests.test_in_place import BIN, ELSEWHERE
from tools import write_copier

MIGRATION = Path(HOUSE.name) / "migrations/versions/0001_initial.py"


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `copier.yml` is written."""
    monkeypatch.setattr(write_copier, "TARGET", tmp_path / "copier.yml")
    return tmp_path / "copier.yml"


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit status of the tool."""
    monkeypatch.setattr("sys.argv", ["write_copier.py", *arguments])
    return write_copier.main()


def test_copier_yml_is_written_and_compared(
    target: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stale = "copier.yml is out of date with cookiecutter.json: run `make copier`\n"
    assert call(monkeypatch, "--check") == 1
    assert not target.exists(), "it only compares"
    assert capsys.readouterr().out == stale

    assert call(monkeypatch) == 0
    assert target.read_bytes() == (ROOT / "copier.yml").read_bytes()
    assert call(monkeypatch, "--check") == 0
    assert capsys.readouterr().out == ""

    edit(target, "Acme API", "Another")
    assert call(monkeypatch, "--check") == 1
    assert capsys.readouterr().out == stale
    assert "Another" in target.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["it's", 'a "b"', "back\\slash", "'\\'"])
def test_a_text_stays_itself_in_an_expression(text: str) -> None:
    expression = write_copier.quoted(text)

    assert Environment().from_string(f"{{{{ {expression} }}}}").render() == text  # noqa: S701, no HTML


def attempt(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the other tool, of the template in `folder`, in the environment of the tree."""
    command = [BIN / "python", "tools/write_initial_migration.py", *arguments]
    environ = os.environ | ELSEWHERE
    return subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )


def test_the_initial_migration_is_written_and_compared(own_template: Path) -> None:
    path = own_template / MIGRATION
    before = path.read_bytes()
    stale = "0001_initial.py is out of date with the models: run `make initial-migration`\n"
    assert attempt(own_template, "--check").returncode == 0

    edit(path, '"jobs"', '"tasks"')
    edited = path.read_bytes()
    told = attempt(own_template, "--check")
    assert (told.returncode, told.stdout) == (1, stale)
    assert path.read_bytes() == edited, "it only compares"

    path.unlink()
    path.parent.rmdir()
    told = attempt(own_template, "--check")
    assert (told.returncode, told.stdout) == (1, stale)
    told = attempt(own_template)
    assert (told.returncode, told.stdout, path.read_bytes()) == (0, "", before)
