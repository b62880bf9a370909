"""Every combination is installed, checked, migrated, and runs its own tests."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.combinations import (
    INSTALLED,
    NIGHTLY,
    ON_SQLITE,
    ROWS,
    WITHOUT_A_SERVER,
    Answers,
    identity,
    largest,
    smallest,
)
from tests.green import digest, remember, skip_if_green
from tests.reporting import PASSED
from tests.template import run, server, tree

Installed = Callable[[Answers], Path]
Suite = Callable[..., None]
DRILLED = (largest(), smallest() | {"database": "mysql"})
SERVERS = {"postgresql": "TEST_POSTGRES_URL", "mysql": "TEST_MYSQL_URL"}

each_combination = pytest.mark.parametrize("answers", INSTALLED)
each_row = pytest.mark.parametrize("answers", ROWS)


@pytest.fixture
def project(
    request: pytest.FixtureRequest, installed: Installed, answers: Answers
) -> Iterator[Path]:
    """The installed project. On a developer's machine, what passed on the same tree is skipped."""
    folder = installed(answers)
    name = f"{request.node.originalname}/{identity(answers)}"
    now = digest(tree(folder).items())
    skip_if_green(name, now)
    yield folder
    if request.node.stash.get(PASSED, False):  # not if it was skipped for want of a server
        remember(name, now)


@pytest.fixture
def suite(project: Path, record_property: Callable[[str, object], None]) -> Suite:
    """Run the project's own tests, in this environment, and report how many passed."""

    def run_tests(*arguments: str, **environ: str) -> None:
        done = run("uv", "run", "pytest", "-q", *arguments, cwd=project, **environ)
        counts = re.search(r"\d+ passed.*?(?= in )", done.stdout)
        assert counts, done.stdout
        record_property("tests", counts[0])

    return run_tests


def servers(answers: Answers) -> dict[str, str]:
    """The real servers that this combination uses."""
    named = {"TEST_DATABASE_URL": server(SERVERS[answers["database"]])}
    if answers["use_celery"]:
        named |= {name: server(name) for name in ("TEST_REDIS_URL", "TEST_AMQP_URL")}
    return named


@each_combination
def test_style_and_types(project: Path) -> None:
    run("uv", "run", "ruff", "check", ".", cwd=project)
    run("uv", "run", "ruff", "format", "--check", ".", cwd=project)
    run("uv", "run", "lint-imports", "--no-cache", cwd=project)
    run("uv", "run", "basedpyright", cwd=project)
    run("uv", "lock", "--check", cwd=project)


@each_combination
def test_migrations_go_up_and_down(project: Path, tmp_path: Path) -> None:
    data = str(tmp_path / "sp ace" / "ünï")

    for command in (["upgrade"], ["check"], ["downgrade", "base"], ["upgrade"], ["check"]):
        run("uv", "run", "app", "db", *command, cwd=project, DATA_DIR=data)


@pytest.mark.parametrize("answers", WITHOUT_A_SERVER)
def test_its_tests_pass_without_a_server(suite: Suite, tmp_path: Path, answers: Answers) -> None:
    """The smallest project's also with enough coverage, without the slow tests; at night the largest's too."""
    measured = (smallest(), largest()) if NIGHTLY else (smallest(),)
    coverage = ["--cov"] if answers in measured else []
    data = {
        "DATA_DIR": str(tmp_path / "sp ace" / "ünï"),
        "COVERAGE_FILE": str(tmp_path / "covered"),
    }
    suite(*coverage, **data)


# A project on MySQL runs on SQLite without a server.
@pytest.mark.parametrize("answers", ON_SQLITE)
def test_its_tests_pass_on_sqlite(suite: Suite) -> None:
    suite(TEST_DATABASE_URL="sqlite://")


@each_row
def test_its_tests_pass_on_real_servers(suite: Suite, answers: Answers) -> None:
    """The slow ones too. Drills, which stop processes and servers, depend on little but the database: they run once for each."""
    chosen = "slow or not slow" if NIGHTLY or answers in DRILLED else "not drill"
    suite("-m", chosen, **servers(answers))
