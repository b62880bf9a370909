"""Fixtures: the template as a user would clone it, and the services that it generates."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.template import Answers, bake_with_cookiecutter, export, identity, run


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the template, with one commit; do not change it."""
    return export(tmp_path_factory.mktemp("template"))


@pytest.fixture
def own_template(tmp_path: Path) -> Path:
    """A clone of the template that the test may change."""
    folder = tmp_path / "template"
    folder.mkdir()
    return export(folder)


Generated = Callable[[Answers], Path]


@pytest.fixture(scope="session")
def generated(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Generated:
    """Bake these answers once, and only read the project."""
    folder = tmp_path_factory.mktemp("generated")
    made: dict[str, Path] = {}

    def bake(answers: Answers) -> Path:
        name = identity(answers)
        if name not in made:
            made[name] = bake_with_cookiecutter(template, folder / name, answers)
        return made[name]

    return bake


Installed = Callable[[Answers], Path]


@pytest.fixture(scope="session")
def installed(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Bake these answers once, with their dependencies installed; do not change the project.

    Its path is hard on shells: it has a space and non-ASCII characters.
    """
    made: dict[tuple[tuple[str, Any], ...], Path] = {}

    def bake(answers: Answers) -> Path:
        key = tuple(sorted(answers.items()))
        if key not in made:
            folder = tmp_path_factory.mktemp("bake") / "sp ace" / "ünï"
            project = bake_with_cookiecutter(template, folder, answers)
            run("uv", "sync", "--quiet", cwd=project)
            made[key] = project
        return made[key]

    return bake
