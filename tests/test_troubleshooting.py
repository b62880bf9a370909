"""The messages in the documentation are those that users see."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.template import HOUSE, ROOT, bake_with_cookiecutter, edit, environment

PAGE = ROOT / "docs" / "troubleshooting.md"
PROVOKED = ("test_first_run_failures", "test_embedded_failures")
"""The tests of the project that provoke its own messages."""
PYTHON = "{}.{}".format(*sys.version_info)
HOME = "/home/ada/service"
# What the shell and uv say before the project can say anything.
SAID = {
    "no uv": "bash: uv: command not found",
    "no network": "error: Failed to fetch: https://pypi.org/simple/aiosmtplib/",
    "another Python": (
        "error: The requested interpreter resolved to Python 3.10.19, which is incompatible with the"
        " project's Python requirement: `>=3.11, <3.15` (from `project.requires-python`)"
    ),
    "no Python": (
        "error: No interpreter found for Python >=3.11, <3.15 in managed installations or search path"
    ),
}


def messages(name: str) -> Mapping[str, str]:
    """The messages that a module of tests expects."""
    source = (HOUSE / "tests" / f"{name}.py").read_text(encoding="utf-8")
    known = {"HOME": HOME}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in {"BEGINNING", "SAID"}:
            exec(ast.unparse(node), known)  # noqa: S102, constants of our own
    return known["SAID"]  # pyright: ignore[reportReturnType]


def test_the_page_has_each_message_and_no_other() -> None:
    shown = re.findall(r"```text\n(.*?)\n```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    known = [SAID, *map(messages, PROVOKED)]

    assert sorted(shown) == sorted(text for each in known for text in each.values())


@pytest.fixture(scope="module")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was not installed, for no Python that there is."""
    project = bake_with_cookiecutter(template, tmp_path_factory.mktemp("failures"), {})
    edit(project / "pyproject.toml", ">=3.11,<3.15", ">=3.97,<3.99")
    return project


def said(project: Path, command: str, **environ: str) -> str:
    """The first line of the message of a command that fails, with the values of the documentation."""
    done = subprocess.run(
        [shutil.which("bash") or "bash", "-c", command],
        cwd=project,
        env=environment(COLUMNS="500", **environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode, done.stdout
    assert "Traceback" not in done.stderr
    assert not (project / "uv.lock").exists()
    line = next(line for line in done.stderr.splitlines() if re.search("^error:|bash:", line))
    for found, shown in (
        (r"^.*bash: line \d+:", "bash:"),
        (r"https?://\S+/[\w.-]+/$", "https://pypi.org/simple/aiosmtplib/"),
        (r"to Python [\d.]+,", "to Python 3.10.19,"),
        (r">=3.97, <3.99", ">=3.11, <3.15"),
    ):
        line = re.sub(found, shown, line)
    return line


def test_uv_is_not_installed(project: Path) -> None:
    assert said(project, "uv run app dev", PATH="/nowhere") == SAID["no uv"]


def test_there_is_no_network(project: Path, tmp_path: Path) -> None:
    other = shutil.copytree(project, tmp_path / "project")
    edit(other / "pyproject.toml", ">=3.97,<3.99", ">=3.11,<3.15")
    away = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    away |= {"NO_PROXY": "", "no_proxy": "", "UV_HTTP_RETRIES": "0"}

    assert (
        said(other, "uv sync", UV_CACHE_DIR=str(tmp_path / "cache"), **away) == SAID["no network"]
    )


def test_python_does_not_fit(project: Path) -> None:
    assert said(project, f"uv sync --python {PYTHON}") == SAID["another Python"]
    assert said(project, "uv run app dev") == SAID["no Python"]
