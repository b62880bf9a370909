"""Generated files other than Python pass their linters, and CI pins everything that it runs."""

import hashlib
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.combinations import HOUSE, ROOT, Answers, combinations
from tests.template import TOOLS, files, promtool, run

Generated = Callable[[Answers], Path]
Distinct = dict[str, dict[str, Path]]

SCHEMA = ["check-jsonschema", "--builtin-schema"]
WORKFLOW = [*SCHEMA, "vendor.github-workflows"]
DEPENDABOT = [*SCHEMA, "vendor.dependabot"]
ZIZMOR = ["zizmor", "--offline", "--no-progress"]
YAML_RULES = """
extends: default
rules:
  braces: {max-spaces-inside: 0}
  document-start: disable
  line-length: {max: 120}
  truthy: {check-keys: false} # `on:` of workflows
  comments: {min-spaces-from-content: 1}
"""
GENERATED = [
    (".github/workflows/ci.yml", WORKFLOW),
    (".github/workflows/ci.yml", ZIZMOR),
    (".github/dependabot.yml", DEPENDABOT),
    (".github/dependabot.yml", ZIZMOR),
    (".pre-commit-config.yaml", ["pre-commit", "validate-config"]),
    ("Dockerfile", ["hadolint"]),
    ("compose.yaml", [*SCHEMA, "vendor.compose-spec"]),
]
OURS = [
    (".github/workflows/ci.yml", WORKFLOW),
    (".github/workflows/drift.yml", WORKFLOW),
    (".github/dependabot.yml", DEPENDABOT),
    (".github", ZIZMOR),
    (".ci/run", ["shellcheck"]),
]

USED = re.compile(r"^\s*(?:- )?uses: (.*)$", re.MULTILINE)
PINNED = re.compile(r"[\w-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
PYTHON = re.compile(r'"3\.(\d+)"')
PYTHON_IMAGE = re.compile(r"python:?3\.(\d+)")
UV = re.compile(r"pip install.* uv(?:==([\d.]+))?")


# Every test that needs all combinations runs where they are generated already.
all_combinations = pytest.mark.xdist_group("generated")


@pytest.fixture(scope="module")
def distinct(generated: Generated, tmp_path_factory: pytest.TempPathFactory) -> Distinct:
    """What is linted, over all combinations of options: a folder for each distinct content of each file."""
    found: Distinct = {}
    for answers in combinations():
        project = generated(answers)
        for name in files(project):
            if name.suffix in {".yaml", ".yml"} or name.name == "Dockerfile":
                content = (project / name).read_bytes()
                folders = found.setdefault(name.as_posix(), {})
                digest = hashlib.sha256(content).hexdigest()
                if digest not in folders:
                    folders[digest] = tmp_path_factory.mktemp("linted")
                    copy = folders[digest] / name
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    copy.write_bytes(content)
    return found


def named(cases: list[tuple[str, list[str]]]) -> Any:  # noqa: ANN401, what pytest makes of it
    """A case for each linter of a file."""
    ids = [f"{Path(name).name}-{command[0]}" for name, command in cases]
    return pytest.mark.parametrize(("name", "command"), cases, ids=ids)


@all_combinations
@named(GENERATED)
def test_what_is_generated_passes_its_linter(
    distinct: Distinct, name: str, command: list[str]
) -> None:
    for folder in distinct[name].values():
        run(TOOLS / command[0], *command[1:], name, cwd=folder)


@all_combinations
def test_all_generated_yaml_is_well_written(distinct: Distinct) -> None:
    for name, folders in distinct.items():
        for folder in folders.values():
            if name != "Dockerfile":
                run(TOOLS / "yamllint", "--strict", "--config-data", YAML_RULES, name, cwd=folder)


def test_the_alerts_fire_when_they_should() -> None:
    run(promtool(), "check", "rules", "deploy/alerts.yml", cwd=HOUSE)
    run(promtool(), "test", "rules", "deploy/alerts_test.yml", cwd=HOUSE)


@named(OURS)
def test_what_is_here_passes_its_linter(name: str, command: list[str]) -> None:
    run(TOOLS / command[0], *command[1:], name, cwd=ROOT)


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


@all_combinations
def test_every_service_has_a_health_check_of_its_own(distinct: Distinct) -> None:
    """The image's own check is for the web service; containers with another command define their own."""
    for folder in distinct["compose.yaml"].values():
        compose = yaml.safe_load((folder / "compose.yaml").read_text(encoding="utf-8"))
        services: dict[str, dict[str, Any]] = compose["services"]
        unchecked = {name for name, each in services.items() if "healthcheck" not in each}
        assert unchecked == {"app"}
        assert "command" not in services["app"]


@all_combinations
def test_containers_of_the_service_may_do_nothing_else(distinct: Distinct) -> None:
    """One image; nothing that is reachable from other machines."""
    for folder in distinct["compose.yaml"].values():
        compose = yaml.safe_load((folder / "compose.yaml").read_text(encoding="utf-8"))
        services: dict[str, dict[str, Any]] = compose["services"]
        ours = [each for each in services.values() if "build" in each]
        for each in ours:
            assert each["read_only"]
            assert each["cap_drop"] == ["ALL"]
            assert each["security_opt"] == ["no-new-privileges:true"]
            assert "/tmp" in each["tmpfs"]  # noqa: S108, in a container
        assert len({(each["image"], each["build"]) for each in ours}) == 1
        ports = [port for each in services.values() for port in each.get("ports", [])]
        assert all(port.startswith("127.0.0.1:") for port in ports)
