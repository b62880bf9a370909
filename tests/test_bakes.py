"""Every combination is installed, checked, migrated, and runs its own tests."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.template import COMBINATIONS, ON_POSTGRESQL, Answers, run, server

Installed = Callable[[Answers], Path]
SERVERS = {"postgresql": "TEST_POSTGRES_URL", "mysql": "TEST_MYSQL_URL"}

each_combination = pytest.mark.parametrize("answers", COMBINATIONS)


@each_combination
def test_style_and_types(installed: Installed, answers: Answers) -> None:
    project = installed(answers)

    run("uv", "run", "ruff", "check", ".", cwd=project)
    run("uv", "run", "ruff", "format", "--check", ".", cwd=project)
    run("uv", "run", "lint-imports", "--no-cache", cwd=project)
    run("uv", "run", "basedpyright", cwd=project)
    run("uv", "lock", "--check", cwd=project)


@each_combination
def test_migrations_go_up_and_down(installed: Installed, answers: Answers, tmp_path: Path) -> None:
    project = installed(answers)
    data = str(tmp_path / "sp ace" / "ünï")

    for command in (["upgrade"], ["check"], ["downgrade", "base"], ["upgrade"], ["check"]):
        run("uv", "run", "app", "db", *command, cwd=project, DATA_DIR=data)


@each_combination
def test_its_tests_pass_without_a_server(
    installed: Installed, answers: Answers, tmp_path: Path
) -> None:
    data = str(tmp_path / "sp ace" / "ünï")

    run("uv", "run", "pytest", "-q", cwd=installed(answers), DATA_DIR=data)


# On MySQL, what runs without a server.
@pytest.mark.parametrize("answers", ON_POSTGRESQL)
def test_its_tests_pass_on_sqlite(installed: Installed, answers: Answers) -> None:
    run("uv", "run", "pytest", "-q", cwd=installed(answers), TEST_DATABASE_URL="sqlite://")


@each_combination
def test_its_tests_pass_on_a_real_server(installed: Installed, answers: Answers) -> None:
    named = {"TEST_DATABASE_URL": server(SERVERS[answers["database"]])}
    if answers["use_celery"]:
        named |= {name: server(name) for name in ("TEST_REDIS_URL", "TEST_AMQP_URL")}

    run("uv", "run", "pytest", "-q", "-n", "2", cwd=installed(answers), **named)
