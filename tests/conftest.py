"""Fixtures: the template as a user would clone it, and the services that it generates."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_cookies.plugin import Cookies

from tests.combinations import Answers, complete, identity
from tests.template import baked, export, nobodys_config, run

pytest_plugins = ["tests.reporting", "tests.sharding"]


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


@pytest.fixture(scope="session")
def cookies_session(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Cookies:
    """pytest-cookies over the clone, in paths that are hard on shells: a space, and not ASCII."""

    def folder(name: str) -> Path:
        odd = tmp_path_factory.mktemp(name) / "sp ace" / "ünï"
        odd.mkdir(parents=True)
        return odd

    return Cookies(str(template), folder, nobodys_config())


Generated = Callable[[Answers], Path]


@pytest.fixture(scope="session")
def generated(cookies_session: Cookies) -> Generated:
    """Bake these answers once, and only read the project."""
    made: dict[str, Path] = {}

    def bake(answers: Answers) -> Path:
        name = identity(complete(answers))
        if name not in made:
            made[name] = baked(cookies_session, answers)
        return made[name]

    return bake


Installed = Callable[[Answers], Path]


@pytest.fixture(scope="session")
def installed(cookies_session: Cookies) -> Installed:
    """Bake these answers once, with their dependencies installed; do not change the project."""
    made: dict[str, Path] = {}

    def bake(answers: Answers) -> Path:
        name = identity(complete(answers))
        if name not in made:
            project = baked(cookies_session, answers)
            run("uv", "sync", "--quiet", cwd=project)
            made[name] = project
        return made[name]

    return bake
