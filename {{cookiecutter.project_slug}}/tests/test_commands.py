"""The command `app`: its completion, its list of routes, and its shell."""

import json
import os
import subprocess
import sys
from asyncio import to_thread
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from shutil import which
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from typer import Typer
from typer.testing import CliRunner

from app.cli import cli
from app.core.db.session import Database, unit_of_work
from app.core.feature import Feature
from app.core.logging import renderers
from app.core.settings import LogFormat, Settings
from app.features.users.models import User
from app.installed import FEATURES
from app.tools.shell import add_shell
from conftest import Account
from tests.commands import Run
from tests.inline import opening

SCRIPTS = Path(sys.executable).parent
# What bash does when its user presses the tabulator key after this line.
COMPLETE = """
eval "$(app --show-completion bash)"
COMP_WORDS=($1); COMP_CWORD=$2
_app_completion app
printf '%s\\n' "${COMPREPLY[@]}"
"""


def completed(words: str, folder: Path, **environment: str) -> list[str]:
    """What bash offers for the last of these words."""
    done = subprocess.run(  # noqa: S603
        [str(which("bash")), "--norc", "-c", COMPLETE, "bash", words, str(words.count(" "))],
        cwd=folder,
        env=os.environ | {"PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.skipif(os.name == "nt" or not which("bash"), reason="bash is not installed")
def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    """In any folder, with any settings."""
    (tmp_path / ".env").write_text("DATABSE_URL=misspelled\n")

    assert completed("app se", tmp_path) == ["serve", "settings"]
    assert completed("app db up", tmp_path, ENVIRONMENT="production") == ["upgrade"]
    assert completed("app dev --po", tmp_path) == ["--port"]


@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}], ids=str)
def test_a_terminal_is_colored_unless_its_user_wants_no_color(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    *_, render = renderers(LogFormat.CONSOLE)

    shown = render(None, "info", {"event": "creating a database", "level": "info"})
    assert ("\x1b" in str(shown)) == (not variables)


def test_the_routes_are_listed_with_who_may_call_them(run_app: Run) -> None:
    lines = [line.split(maxsplit=3) for line in run_app("routes").out.splitlines()]
    rows = json.loads(run_app("routes", "--json").out)

    assert lines[0] == ["METHOD", "PATH", "NAME", "ACCESS"]
    listed = [(row["path"], row["method"]) for row in rows]
    assert listed == sorted(listed) == [(line[1], line[0]) for line in lines[1:]]
    access = {(line[0], line[1]): line[3] for line in lines[1:]}
    assert access["GET", "/health/live"] == "public"
    assert access["GET", "/api/v1/users/me"] == "signed in"
    assert access["PATCH", "/api/v1/users/{user_id}"] == "users:write"
    by_name = {row["name"]: row for row in rows}
    assert by_name["change_user"]["permissions"] == ["users:write"]
    assert by_name["change_user"]["access"] == "permission"


Shell = Callable[..., str]


@pytest.fixture
def shell(settings: Settings) -> Shell:
    """What `app shell` prints for these lines, in the database of the tests."""

    def run(*lines: str, options: tuple[str, ...] = ()) -> str:
        given = "\n".join((*lines, ""))
        done = CliRunner().invoke(cli, ["shell", *options], input=given, obj=opening(settings))
        assert done.exception is None, done.output
        return done.output

    return run


async def names(database: Database) -> list[str]:
    """The full names of all users."""
    async with unit_of_work(database) as session:
        return list(await session.scalars(select(User.full_name)))


async def test_a_shell_has_a_session_that_keeps_nothing_unless_it_is_committed(
    committed_db: Database, committed_admin: Account, shell: Shell
) -> None:
    read = "user = await session.scalar(select(User))"
    change = "user.full_name = 'Grace'"

    shown = await to_thread(shell, read, "user.email", change, "await session.flush()")
    assert f"'{committed_admin.email}'" in shown
    assert await names(committed_db) == [""]

    await to_thread(shell, read, change, "await session.commit()")
    assert await names(committed_db) == ["Grace"]


def test_a_shell_says_what_is_at_hand(shell: Shell) -> None:
    shown = shell("settings.environment.value", "len(service.features)")

    for model in (model.__name__ for feature in FEATURES for model in feature.models):
        assert model in shown
    assert "'test'" in shown
    assert f"{len(FEATURES)}\n" in shown
    assert "Nothing is kept without `await session.commit()`" in shown


async def test_a_customer_of_a_feature_is_chosen_by_id(
    committed_db: Database, settings: Settings
) -> None:
    """Whatever the feature calls its customers."""
    seen: list[object] = []

    @contextmanager
    def within(shop: UUID) -> Generator[None]:
        seen.append(shop)
        yield
        seen.append("left")

    async def context(session: AsyncSession, shop: UUID) -> AbstractContextManager[None]:
        return within(shop)

    ours, shop = Typer(), uuid4()
    add_shell(ours, [Feature(), Feature(customer=("shop", context))])
    invoke = partial(CliRunner().invoke, ours, input="1 + 1\n", obj=opening(settings))

    assert "for shop (none: choose one with --shop)" in (await to_thread(invoke, [])).output
    assert seen == []
    assert f"for shop {shop}" in (await to_thread(invoke, ["--shop", str(shop)])).output
    assert seen == [shop, "left"]


def test_a_mistake_in_the_shell_does_not_end_it(shell: Shell) -> None:
    shown = shell("1 / 0", "await 1", "raise KeyError('x')", "6 * 7")

    assert "ZeroDivisionError" in shown
    assert "app/tools" not in shown, "a traceback starts in what was typed"
    assert "42" in shown
