"""Every import of a generated project's own modules finds them, whatever was left out."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.combinations import COMBINATIONS, Answers
from tests.conftest import Generated

pytestmark = pytest.mark.xdist_group("generated")

OURS = ("app", "conftest", "tests")


@cache
def parsed(source: str) -> ast.Module:
    """Most files are the same in every project."""
    return ast.parse(source)


@cache
def imports(source: str) -> list[tuple[str, tuple[str, ...]]]:
    """The modules of the project that a file imports, and the names from each."""
    found: list[tuple[str, tuple[str, ...]]] = []
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Import):
            found += [(alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.module, tuple(alias.name for alias in node.names)))
    return [(module, names) for module, names in found if module.split(".")[0] in OURS]


@cache
def bound(source: str) -> set[str]:
    """The names that a module has."""
    names: set[str] = set()
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name.split(".")[0])
    return names


def missing(sources: dict[str, str]) -> Iterator[str]:
    """What is imported and is not there; modules are named with dots, packages like their folders."""
    packages = {name.rpartition(".")[0] for name in sources} | {
        name.rpartition(".")[0].rpartition(".")[0] for name in sources
    }
    for importer, source in sources.items():
        for module, names in imports(source):
            if module not in sources and module not in packages:
                yield f"{importer} imports {module}"
            for name in names:
                inside = f"{module}.{name}"
                if inside not in sources | dict.fromkeys(packages) and name not in bound(
                    sources.get(module, "")
                ):
                    yield f"{importer} imports {name} from {module}"


@pytest.mark.parametrize("answers", COMBINATIONS)
def test_every_import_finds_its_module(generated: Generated, answers: Answers) -> None:
    project = generated(answers)
    sources = {
        ".".join(path.relative_to(project).with_suffix("").parts).removesuffix(".__init__"): (
            path.read_text(encoding="utf-8")
        )
        for path in sorted(Path(project).rglob("*.py"))
    }

    assert [*missing(sources)] == []


def test_what_is_missing_is_seen() -> None:
    sources = {
        "app.a": "def f(): pass",
        "app.b": "from app.a import f\nfrom app import a\nimport app.a\nimport json",
    }
    assert [*missing(sources)] == []

    assert [*missing({"app.b": sources["app.b"]})] == [
        "app.b imports app.a",
        "app.b imports f from app.a",
        "app.b imports a from app",
        "app.b imports app.a",
    ]
    assert [*missing({"app.a": "", "app.b": "from app.a import f"})] == [
        "app.b imports f from app.a"
    ]
