"""A project can be generated with little installed, and in any folder, by a template in any folder."""

import sys
import warnings
from pathlib import Path

import pytest
import yaml
from copier import run_update

from tests.template import (
    ANSWERS_FILE,
    TOOLS,
    bake_with_cookiecutter,
    bake_with_copier,
    commit_all,
    export,
    run,
    tree,
)

BAKERS = {"cookiecutter": bake_with_cookiecutter, "copier": bake_with_copier}
# Spaces, several scripts, and more bytes than the 107 that Linux allows for the path of a socket.
ODD = Path("sp ace", "Δοκιμή", "проект", "テンプレート 模板", "בדיקה", "deep" * 20)
# Without the environment's variables, the user's packages and those of cookiecutter.
ISOLATED = '#!/bin/sh\necho "$2" >>"{log}"\nexec "{python}" -I -S "$@"\n'


@pytest.fixture
def far(tmp_path: Path) -> Path:
    """Such a folder."""
    folder = tmp_path / ODD
    folder.mkdir(parents=True)
    assert len(bytes(folder)) > 107
    return folder


def test_the_hooks_need_only_python(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = bake_with_cookiecutter(template, tmp_path / "usual", {})
    python, log = tmp_path / "python", tmp_path / "log"
    python.write_text(ISOLATED.format(log=log, python=sys.executable), encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))

    isolated = bake_with_cookiecutter(template, tmp_path / "isolated", {})

    assert len(log.read_text(encoding="utf-8").splitlines()) == 2, "both hooks"
    assert tree(isolated) == tree(usual)


@pytest.mark.parametrize("engine", BAKERS)
def test_it_generates_and_updates_in_an_odd_folder(far: Path, engine: str) -> None:
    template = far / "template"
    export(template)
    project = BAKERS[engine](template, far / "projects", {})
    answers = yaml.safe_load((project / ANSWERS_FILE).read_text(encoding="utf-8"))
    assert Path(answers["_src_path"]) == template
    commit_all(project, "Begin")
    (template / "{{cookiecutter.project_slug}}" / "new.md").write_text("News.\n")
    commit_all(template, "A newer template")

    with warnings.catch_warnings(action="ignore"):  # that the template has no release tags
        run_update(project, defaults=True, overwrite=True, quiet=True, vcs_ref="HEAD")

    assert (project / "new.md").read_text(encoding="utf-8") == "News.\n"


def test_it_runs_in_an_odd_folder(template: Path, far: Path) -> None:
    """The command, the environment's scripts and the built-in database."""
    project = bake_with_cookiecutter(template, far, {})
    run("uv", "sync", "--quiet", cwd=project)

    run("uv", "run", "app", "db", "upgrade", cwd=project)


def test_the_last_message_fits_every_console(template: Path, far: Path) -> None:
    """Windows does not encode all characters where the output is not a console."""
    command = [TOOLS / "cookiecutter", template, "--no-input", "--default-config"]

    done = run(*command, "--output-dir", far, cwd=template, PYTHONIOENCODING="cp1252")

    assert "uv run app dev" in done.stdout
    assert "sp ace" in done.stdout
    assert (far / "acme-api" / "README.md").exists()
