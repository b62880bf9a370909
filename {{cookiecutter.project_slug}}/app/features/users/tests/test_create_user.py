"""Operators create accounts on the command line."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import pytest
from httpx2 import AsyncClient
from sqlalchemy import URL, select
from typer.testing import CliRunner, Result

from app.core.db.dialects import sqlite
from app.core.db.session import Database, connect, reading
from app.core.errors import Failure
from app.core.settings import Settings
from app.features.audit.models import AuditEvent
from app.features.users.cli import cli, create_user
from app.features.users.models import User
from conftest import PASSWORD

EMAIL = "ada@example.com"


async def test_a_created_account_signs_in_at_once(
    committed_client: AsyncClient, committed_db: Database, settings: Settings
) -> None:
    await create_user(settings, EMAIL, PASSWORD, "Ada", ["member", "admin"])

    form = {"username": EMAIL, "password": PASSWORD}
    tokens = (await committed_client.post("/api/v1/auth/login", data=form)).json()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    me = (await committed_client.get("/api/v1/users/me", headers=headers)).json()
    assert me["full_name"] == "Ada"
    assert [role["name"] for role in me["roles"]] == ["admin", "member"]
    async with reading(committed_db) as session:
        created = select(AuditEvent.after).where(AuditEvent.action == "user.created")
        assert (await session.scalars(created)).all() == [{"roles": ["member", "admin"]}]


@pytest.mark.parametrize(
    ("password", "role", "words"),
    [("password1", "member", "guess"), (PASSWORD, "support", "no role named support")],
)
async def test_a_weak_password_or_an_unknown_role_makes_nothing(
    committed_db: Database, settings: Settings, password: str, role: str, words: str
) -> None:
    with pytest.raises(Failure, match=words):
        await create_user(settings, EMAIL, password, "", [role])

    async with reading(committed_db) as session:
        assert (await session.scalars(select(User))).all() == []


async def test_without_migrations_it_is_said_what_to_run(
    settings: Settings, tmp_path: Path
) -> None:
    empty = URL.create(sqlite.driver, database=str(tmp_path / "empty.db"))

    with pytest.raises(RuntimeError, match="run `app db upgrade` first"):
        await create_user(
            settings.model_copy(update={"database_url": empty}), EMAIL, PASSWORD, "", ["member"]
        )


@pytest.fixture
def commands(
    committed_db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """The commands work on the test's database."""

    @contextmanager
    def ready(_: Settings) -> Generator[Settings]:
        yield settings

    monkeypatch.setattr(import_module("app.features.users.cli"), "ensure_database", ready)
    return settings


def create(*arguments: str, password: str = PASSWORD) -> Result:
    """`app users create` with the password in the environment."""
    return CliRunner(env={"USER_PASSWORD": password}).invoke(cli, ["create", *arguments])


def test_an_address_gets_one_account(commands: Settings) -> None:
    first = create("--email", "Ada@Example.com", "--full-name", " Ada ")
    second = create("--email", EMAIL, "--role", "admin", password="an entirely new password")

    async def stored() -> list[tuple[str, str]]:
        async with connect(commands, {}) as database, reading(database) as session:
            rows = await session.execute(select(User.email, User.full_name))
            return [(email, full_name) for email, full_name in rows]

    assert (first.exit_code, first.output) == (0, f"{EMAIL} can sign in.\n")
    assert "already an account with this address" in str(second.exception)
    assert asyncio.run(stored()) == [(EMAIL, "Ada")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create", "--email", "no-address"], "not a valid email address"),
        (["create", "--email", EMAIL, "--full-name", "two\nlines"], "--full-name"),
        (["create-admin", "--email", "no-address"], "not a valid email address"),
    ],
)
def test_what_the_api_would_not_take_is_refused_in_plain_words(
    arguments: list[str], words: str
) -> None:
    passwords = {"USER_PASSWORD": PASSWORD, "ADMIN_PASSWORD": PASSWORD}

    refused = CliRunner(env=passwords).invoke(cli, arguments)

    assert refused.exit_code == 2
    assert words in refused.output
