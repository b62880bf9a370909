"""The structure that keeps the service easy to change."""

import ast
import subprocess
import sys
from collections.abc import Container, Iterator
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

from app import features
from app.core.db.base import Base
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


def test_no_import_goes_in_a_circle(project_root: Path) -> None:
    modules = {
        module_name(source, project_root): source
        for source in (project_root / "app").rglob("*.py")
        if "tests" not in source.parts
    }
    graph = {
        name: {other for other in imported(source, modules) if other in modules}
        for name, source in modules.items()
    }
    TopologicalSorter(graph).prepare()
