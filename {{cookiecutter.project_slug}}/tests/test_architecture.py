"""The structure that keeps the service easy to change."""

import ast
import re
import subprocess
import sys
from collections.abc import Container, Iterator
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

from app import features
from app.core.db.base import Base
from app.core.db.migrations import ROOT
from app.installed import FEATURES


def test_imports_run_one_way(project_root: Path) -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run(  # noqa: S603
        [lint, "--no-cache"], cwd=project_root, capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stdout
    assert "2 kept, 0 broken" in result.stdout


def test_every_feature_is_installed() -> None:
    folders = [path.parent.name for path in Path(features.__path__[0]).glob("*/__init__.py")]
    faces = [import_module(f"app.features.{folder}").feature for folder in folders]

    assert [face for face in faces if face not in FEATURES] == []


def test_every_table_belongs_to_an_installed_feature() -> None:
    declared = {model.__tablename__ for feature in FEATURES for model in feature.models}

    assert declared == set(Base.metadata.tables)


def test_every_event_has_a_name_of_its_own() -> None:
    names = [event.name for feature in FEATURES for event in feature.events]

    assert len(names) == len(set(names))
    assert [name for name in names if not re.fullmatch(r"[a-z_]+\.[a-z_]+", name)] == []


def imported(source: Path, modules: Container[str]) -> Iterator[str]:
    """The modules that a file imports; `from package import module` imports the module."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in modules else node.module


def module_name(source: Path, root: Path) -> str:
    parts = source.relative_to(root).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    """Which modules each module of the service imports; tests are left out."""
    modules = {
        module_name(source, ROOT): source
        for source in (ROOT / "app").rglob("*.py")
        if "tests" not in source.parts
    }
    return {
        name: {other for other in imported(source, modules) if other in modules}
        for name, source in modules.items()
    }


def test_no_import_goes_in_a_circle(graph: dict[str, set[str]]) -> None:
    TopologicalSorter(graph).prepare()


def package(name: str) -> str:
    """The package of `app.core` that a module belongs to, such as `app.core.db`."""
    return ".".join(name.split(".")[:3])


def test_no_packages_of_core_import_each_other(graph: dict[str, set[str]]) -> None:
    packages = {package(name) for name in graph if name.count(".") > 2 and "core" in name}
    between = {
        each: {
            package(other)
            for name, others in graph.items()
            if package(name) == each
            for other in others
            if package(other) in packages - {each}
        }
        for each in packages
    }

    assert len(packages) >= 4
    TopologicalSorter(between).prepare()


def reached(graph: dict[str, set[str]], name: str) -> set[str]:
    """Everything that a module imports, through others too."""
    found: set[str] = set()
    ahead = [name]
    while ahead:
        for other in graph.get(ahead.pop(), ()):
            if other not in found:
                found.add(other)
                ahead.append(other)
    return found


def test_only_entry_points_know_the_web_application(graph: dict[str, set[str]]) -> None:
    knowing = {name for name in graph if "app.main" in reached(graph, name)}

    assert knowing <= {"app.cli", "app.__main__"}
