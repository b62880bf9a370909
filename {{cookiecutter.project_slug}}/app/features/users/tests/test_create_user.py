"""Operators create accounts on the command line."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from httpx2 import AsyncClient
from sqlalchemy import URL, select
from typer.testing import CliRunner, Result

from app.core.db.dialects import sqlite
from app.core.db.errors import NotMigrated
from app.core.db.session import Database, reading
from app.core.errors import Failure
from app.core.service import Service
from app.core.settings import Settings
from app.features.audit.models import AuditEvent
from app.features.users.cli import cli, create_user
from app.features.users.models import User
from conftest import PASSWORD
from tests.inline import in_service, opening

EMAIL = "ada@example.com"


async def test_a_created_account_signs_in_at_once(
    committed_client: AsyncClient, committed_db: Database, settings: Settings
) -> None:
    await in_service(
        settings, lambda service: create_user(service, EMAIL, PASSWORD, "Ada", ["member", "admin"])
    )

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
        await in_service(
            settings, lambda service: create_user(service, EMAIL, password, "", [role])
        )

    async with reading(committed_db) as session:
        assert (await session.scalars(select(User))).all() == []


async def test_without_migrations_it_is_said_what_to_run(
    settings: Settings, tmp_path: Path
) -> None:
    empty = URL.create(sqlite.driver, database=str(tmp_path / "empty.db"))

    with pytest.raises(NotMigrated, match="run `app db upgrade`"):
        await in_service(
            settings.model_copy(update={"database_url": empty}),
            lambda service: create_user(service, EMAIL, PASSWORD, "", ["member"]),
        )


Create = Callable[..., Result]


@pytest.fixture
def create(committed_db: Database, settings: Settings) -> Create:
    """`app users create` on the test's database, with the password in the environment."""

    def run(*arguments: str, password: str = PASSWORD) -> Result:
        runner = CliRunner(env={"USER_PASSWORD": password})
        return runner.invoke(cli, ["create", *arguments], obj=opening(settings))

    return run


def test_an_address_gets_one_account(create: Create, settings: Settings) -> None:
    first = create("--email", "Ada@Example.com", "--full-name", " Ada ")
    second = create("--email", EMAIL, "--role", "admin", password="an entirely new password")

    async def stored(service: Service) -> list[tuple[str, str]]:
        async with reading(service.database) as session:
            rows = await session.execute(select(User.email, User.full_name))
            return [(email, full_name) for email, full_name in rows]

    assert (first.exit_code, first.output) == (0, f"{EMAIL} can sign in.\n")
    assert "already an account with this address" in str(second.exception)
    assert asyncio.run(in_service(settings, stored)) == [(EMAIL, "Ada")]


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
