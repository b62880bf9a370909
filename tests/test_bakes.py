"""Every combination is installed, checked, migrated, and runs its own tests."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.combinations import INSTALLED, ROOT, ROWS, ROWS_ON_POSTGRESQL, Answers, identity
from tests.reporting import PASSED
from tests.template import run, server, tree

Installed = Callable[[Answers], Path]
Suite = Callable[..., None]
SERVERS = {"postgresql": "TEST_POSTGRES_URL", "mysql": "TEST_MYSQL_URL"}
GREEN = ROOT / "build" / "green"

each_combination = pytest.mark.parametrize("answers", INSTALLED)
each_row = pytest.mark.parametrize("answers", ROWS)


@pytest.fixture
def project(
    request: pytest.FixtureRequest, installed: Installed, answers: Answers
) -> Iterator[Path]:
    """The installed project. On a developer's machine, what passed on the same tree is skipped."""
    folder = installed(answers)
    always = os.environ.keys() & {"CI", "REQUIRE_SERVERS"}
    green = GREEN / request.node.originalname / identity(answers)
    now = digest(folder)
    if not always and green.is_file() and green.read_text(encoding="utf-8") == now:
        pytest.skip("it passed on the same tree: `make clean` forgets that")
    yield folder
    if request.node.stash.get(PASSED, False):  # not if it was skipped for want of a server
        green.parent.mkdir(parents=True, exist_ok=True)
        green.write_text(now, encoding="utf-8")


def digest(folder: Path) -> str:
    """A hash of what was generated."""
    found = hashlib.sha256()
    for name, content in tree(folder).items():
        found.update(f"{name}\0{len(content)}\0".encode() + content)
    return found.hexdigest()


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


@each_combination
def test_its_tests_pass_without_a_server(suite: Suite, tmp_path: Path) -> None:
    suite(DATA_DIR=str(tmp_path / "sp ace" / "ünï"))


# On MySQL, what runs without a server.
@pytest.mark.parametrize("answers", ROWS_ON_POSTGRESQL)
def test_its_tests_pass_on_sqlite(suite: Suite) -> None:
    suite(TEST_DATABASE_URL="sqlite://")


@each_row
def test_its_tests_pass_on_real_servers(suite: Suite, answers: Answers) -> None:
    suite("-n", "2", **servers(answers))


@each_row
def test_its_slow_tests_pass_on_real_servers(suite: Suite, answers: Answers) -> None:
    suite("-m", "slow", **servers(answers))
