"""How tests bake the template, with either engine, and run the result."""

import atexit
import os
import shutil
import subprocess
import tempfile
import tomllib
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from copier import run_copy
from pytest_cookies.plugin import Cookies

from tests.combinations import HOUSE, ROOT, SOURCE, Answers

__all__ = ["HOUSE", "ROOT", "SOURCE", "Answers"]

ABOUT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
REPOSITORY = f"gh:{ABOUT['tool']['template']['owner']}/{ABOUT['project']['name']}"
"""This repository as README names it."""
TOOLS = ROOT / "build" / "tools" / "bin"
ANSWERS_FILE = ".copier-answers.yml"


def environment(**more: str) -> dict[str, str]:
    """The environment of a user's shell, without this run's own variables."""
    ours = {"VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "PYTHONPYCACHEPREFIX", "RUFF_CACHE_DIR"}
    ours.add("HYPOTHESIS_STORAGE_DIRECTORY")
    ours |= {"PYTHONDONTWRITEBYTECODE", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "DATA_DIR"}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ours and not name.startswith(("PYTEST_", "TEST_", "DATABASE_"))
    }
    return kept | {"UV_PYTHON_DOWNLOADS": "never"} | more


def run(*command: str | Path, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command, and show its whole output if it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment(PWD=str(cwd), **environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def git(folder: Path, *arguments: str) -> str:
    """Run git with an author set."""
    who = ["-c", "user.name=Template Tests", "-c", "user.email=tests@example.com"]
    return run("git", *who, *arguments, cwd=folder).stdout.strip()


def commit_all(folder: Path, message: str) -> str:
    """Commit everything; the repository is created if there is none."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def export(target: Path) -> Path:
    """The template as a commit of this work tree would be, without caches and builds."""
    listed = run("git", "ls-files", "-z", "-co", "--exclude-standard", cwd=ROOT).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    commit_all(target, "The template as it is")
    return target


@cache
def nobodys_config() -> Path:
    """Cookiecutter's settings of no user: its own defaults, and folders of this run."""
    folder = Path(tempfile.mkdtemp(prefix="cookiecutter-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    named = {f"{name}_dir": str(folder / name) for name in ("cookiecutters", "replay")}
    (folder / "config").write_text(yaml.safe_dump(named), encoding="utf-8")
    return folder / "config"


def bake_with_cookiecutter(template: Path, output: Path, answers: Answers) -> Path:
    """The project, in a folder of its slug below `output`."""
    return baked(Cookies(str(template), lambda _: output, nobodys_config()), answers)


def baked(cookies: Cookies, answers: Answers) -> Path:
    """The project that pytest-cookies makes of these answers; raises what the template raised."""
    result = cookies.bake(extra_context=dict(answers))
    if result.exception:
        raise result.exception
    assert result.project_path
    return result.project_path


def bake_with_copier(template: Path, target: Path, answers: Answers) -> Path:
    """The project, in `target`; without `--trust`."""
    with warnings.catch_warnings(action="ignore"):  # that the template has no release tags
        run_copy(
            str(template),
            target,
            data=dict(answers),
            defaults=True,
            quiet=True,
            vcs_ref="HEAD",
            unsafe=False,
        )
    return target


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text that must be there."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def files(folder: Path) -> Iterator[Path]:
    """Every file that was generated, relative to `folder`."""
    skipped = {".git", ".venv", ".data", "__pycache__", "uv.lock", ".pytest_cache", ".ruff_cache"}
    skipped.add(".hypothesis")
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not skipped & set(relative.parts):
            yield relative


def tree(folder: Path) -> dict[str, bytes]:
    """The generated files and their bytes, all but the answers file."""
    return {
        path.as_posix(): (folder / path).read_bytes()
        for path in files(folder)
        if path.name != ANSWERS_FILE
    }


def recorded(folder: Path) -> dict[str, Any]:
    """The answers file as data, without the template's location."""
    data = yaml.safe_load((folder / ANSWERS_FILE).read_text(encoding="utf-8"))
    return {name: value for name, value in data.items() if name != "_src_path"}


def server(variable: str) -> str:
    """The URL of a real server."""
    return required(os.environ.get(variable), f"{variable} names no server")


def chromium() -> str:
    """The path of a real browser."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return required(next(filter(None, map(shutil.which, names)), None), "there is no Chromium")


def promtool() -> str:
    """The path of the tool that checks alert rules; Debian has it in `prometheus`."""
    return required(shutil.which("promtool"), "there is no promtool")


def required(found: str | None, reason: str) -> str:
    """What was found; a test that lacks it is skipped, or fails if nothing may be skipped."""
    if found:
        return found
    if os.environ.get("REQUIRE_SERVERS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
