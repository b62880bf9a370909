"""Generated files other than Python pass their linters, and CI pins everything that it runs."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.combinations import HOUSE, ROOT, largest, smallest
from tests.template import TOOLS, bake_with_cookiecutter, run

SCHEMA = ["check-jsonschema", "--builtin-schema"]
YAML_RULES = """
extends: default
rules:
  document-start: disable
  line-length: {max: 120}
  truthy: {check-keys: false} # `on:` of workflows
  comments: {min-spaces-from-content: 1}
"""
GITHUB = {
    ".github/workflows/ci.yml": [*SCHEMA, "vendor.github-workflows"],
    ".github/dependabot.yml": [*SCHEMA, "vendor.dependabot"],
    ".github": ["zizmor", "--offline", "--no-progress"],
}
GENERATED = {
    **GITHUB,
    "Dockerfile": ["hadolint"],
    "compose.yaml": [*SCHEMA, "vendor.compose-spec"],
    ".": ["yamllint", "--strict", "--config-data", YAML_RULES],
}
OURS = {
    **GITHUB,
    ".github/workflows/drift.yml": [*SCHEMA, "vendor.github-workflows"],
    ".ci/run": ["shellcheck"],
}

USED = re.compile(r"^\s*(?:- )?uses: (.*)$", re.MULTILINE)
PINNED = re.compile(r"[\w-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
PYTHON = re.compile(r'"3\.(\d+)"')
PYTHON_IMAGE = re.compile(r"python:?3\.(\d+)")
UV = re.compile(r"pip install.* uv(?:==([\d.]+))?")


@pytest.fixture(scope="module", params=[largest(), smallest()], ids=["everything", "nothing"])
def project(
    template: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Path:
    """A project with every option, or with none."""
    return bake_with_cookiecutter(template, tmp_path_factory.mktemp("bake"), request.param)


@pytest.mark.parametrize("name", GENERATED)
def test_what_is_generated_passes_its_linter(project: Path, name: str) -> None:
    program, *arguments = GENERATED[name]
    run(TOOLS / program, *arguments, name, cwd=project)


@pytest.mark.parametrize("name", OURS)
def test_what_is_here_passes_its_linter(name: str) -> None:
    program, *arguments = OURS[name]
    run(TOOLS / program, *arguments, name, cwd=ROOT)


@pytest.mark.parametrize("root", [ROOT, HOUSE], ids=["template", "generated"])
def test_every_action_is_pinned_by_its_commit(root: Path) -> None:
    for workflow in (root / ".github" / "workflows").iterdir():
        used = USED.findall(workflow.read_text(encoding="utf-8"))
        assert used
        assert [action for action in used if not PINNED.fullmatch(action)] == []


def test_one_version_of_uv_is_installed_everywhere() -> None:
    workflow = ".github/workflows/ci.yml"
    installing = (ROOT / "Makefile", ROOT / workflow, HOUSE / "Dockerfile", HOUSE / workflow)
    versions = [set(UV.findall(path.read_text(encoding="utf-8"))) for path in installing]
    one = {*versions[0]} - {""}

    assert len(one) == 1
    assert versions == [one] * 4


def test_every_named_python_is_one_that_the_project_supports() -> None:
    """The lowest is what the tools check against, and what this repository's own tests run on."""
    whole = [tomllib.loads((root / "pyproject.toml").read_text("utf-8")) for root in (ROOT, HOUSE)]
    (range_,) = {about["project"]["requires-python"] for about in whole}
    lowest, above = map(int, re.findall(r"[=<]3\.(\d+)", range_))
    workflows = [root / ".github/workflows/ci.yml" for root in (ROOT, HOUSE)]
    named = [set(map(int, PYTHON.findall(path.read_text("utf-8")))) for path in workflows]
    named.append(set(map(int, PYTHON_IMAGE.findall((HOUSE / "Dockerfile").read_text("utf-8")))))

    for about in whole:
        assert about["tool"]["ruff"]["target-version"] == f"py3{lowest}"
        assert about["tool"]["basedpyright"]["pythonVersion"] == f"3.{lowest}"
    assert all(versions and versions <= set(range(lowest, above)) for versions in named)
    assert lowest in named[0]


def test_no_service_inherits_the_health_check_of_another(project: Path) -> None:
    """The image's own check is for the web service; containers with another command define their own."""
    compose: dict[str, Any] = yaml.safe_load((project / "compose.yaml").read_text(encoding="utf-8"))
    inherited = [
        name
        for name, service in compose["services"].items()
        if "build" in service and "command" in service and "healthcheck" not in service
    ]
    assert inherited == []
