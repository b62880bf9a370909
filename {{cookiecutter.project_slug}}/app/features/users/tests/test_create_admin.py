"""The first administrator is created on the command line, and nowhere else."""

import pytest
from httpx2 import AsyncClient
from sqlalchemy import select

from app.core.db.session import Database, reading
from app.core.errors import Failure
from app.core.settings import Settings
from app.features.users.cli import make_admin
from app.features.users.models import User
from conftest import PASSWORD
from tests.inline import in_service

EMAIL = "root@example.com"


async def is_admin(client: AsyncClient, password: str) -> bool:
    form = {"username": EMAIL, "password": password}
    tokens = (await client.post("/api/v1/auth/login", data=form)).json()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    return (await client.get("/api/v1/roles", headers=headers)).status_code == 200


async def test_an_administrator_is_made(committed_client: AsyncClient, settings: Settings) -> None:
    await in_service(settings, lambda service: make_admin(service, EMAIL, PASSWORD))

    assert await is_admin(committed_client, PASSWORD)


async def test_making_one_twice_sets_the_password(
    committed_client: AsyncClient, settings: Settings
) -> None:
    await in_service(settings, lambda service: make_admin(service, EMAIL, PASSWORD))
    await in_service(
        settings, lambda service: make_admin(service, EMAIL, "an entirely new password")
    )

    assert await is_admin(committed_client, "an entirely new password")


async def test_a_weak_password_is_refused_for_administrators_too(
    committed_db: Database, settings: Settings
) -> None:
    with pytest.raises(Failure, match="guess"):
        await in_service(settings, lambda service: make_admin(service, EMAIL, "administrator"))

    async with reading(committed_db) as session:
        assert (await session.scalars(select(User))).all() == []
