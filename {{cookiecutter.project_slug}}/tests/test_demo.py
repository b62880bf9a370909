"""The first start of the service creates a demo administrator, in development only."""

import re
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import select

from app.core.db.session import Database, reading
from app.core.settings import Environment, Settings
from app.features.users.cli import create_user, make_admin
from app.features.users.models import User
from app.seed import demo
from conftest import PASSWORD
from tests.inline import in_service, serving

ELSEWHERE = [each for each in Environment if each is not Environment.LOCAL]


def within(settings: Settings, environment: Environment) -> Settings:
    changes: dict[str, Any] = {"environment": environment, "service_url": "http://127.0.0.1:8010"}
    return settings.model_copy(update=changes)


async def roles_seen_by(client: AsyncClient, email: str, password: str) -> int:
    """The status of a request that requires an administrator."""
    form = {"username": email, "password": password}
    tokens = (await client.post("/api/v1/auth/login", data=form)).json()
    headers = {"Authorization": f"Bearer {tokens.get('access_token')}"}
    return (await client.get("/api/v1/roles", headers=headers)).status_code


async def test_an_empty_database_gets_an_administrator_whose_password_is_told_once(
    committed_client: AsyncClient, settings: Settings
) -> None:
    local = within(settings, Environment.LOCAL)

    told = await in_service(local, demo)

    found = re.search(r"username +(\S+)\n +password +(\S+)\n", told)
    assert found
    email, password = found.groups()
    assert "http://127.0.0.1:8010/docs" in told
    assert len(password) >= 16
    assert await roles_seen_by(committed_client, email, password) == 200
    assert await in_service(local, demo) == ""

    command = re.search(r"app users create-admin --email (\S+)", told)
    assert command
    address = command[1]
    await in_service(settings, lambda service: make_admin(service, address, PASSWORD))
    assert await roles_seen_by(committed_client, email, password) == 401
    assert await roles_seen_by(committed_client, email, PASSWORD) == 200


async def test_a_database_with_any_account_gets_none(
    committed_db: Database, settings: Settings
) -> None:
    await in_service(
        settings,
        lambda service: create_user(service, "ada@example.com", PASSWORD, "", ["member"]),
    )

    assert await in_service(within(settings, Environment.LOCAL), demo) == ""
    async with reading(committed_db) as session:
        assert (await session.scalars(select(User.email))).all() == ["ada@example.com"]


@pytest.mark.parametrize("environment", ELSEWHERE)
async def test_it_is_made_nowhere_but_in_local(
    committed_db: Database, settings: Settings, environment: Environment
) -> None:
    there = serving(committed_db, settings=within(settings, environment))
    assert await demo(there) == ""
    async with reading(committed_db) as session:
        assert (await session.scalars(select(User))).all() == []
