"""Hashing is slow: it holds no connection, and what was checked before is checked again afterwards."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response

from app.core.db.engine import create_engine
from app.core.db.session import Database
from app.core.mail import Mail
from app.core.security import passwords
from app.core.settings import Settings
from app.features.auth.tests.steps import AUTH, login, token_in
from conftest import PASSWORD, Account, client_of, make_account
from tests.inline import database_of

NEW = "an entirely new password"
EMAIL = "ada@example.com"


@pytest.fixture
async def narrow(
    app: FastAPI, settings: Settings, committed_db: Database
) -> AsyncGenerator[Callable[[], AsyncClient]]:
    """Creates clients of a service with a single database connection."""
    one = settings.model_copy(update={"database_pool_size": 1})
    engine = create_engine(one)
    database = database_of(engine, one)
    yield lambda: client_of(app, database, one)
    await engine.dispose()


@pytest.fixture
async def ada(narrow: Callable[[], AsyncClient], committed_db: Database) -> AsyncGenerator[Account]:
    """A registered member."""
    async with narrow() as client:
        yield await make_account(committed_db, client, EMAIL, "member")


class Slow:
    """Hashing that blocks until released, the first time."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        for name in ("verify", "hash_password"):
            patch.setattr(passwords, name, self.wait_for(getattr(passwords, name)))

    def wait_for(self, hashing: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """The same, but slow."""

        async def slow(*args: object) -> Any:  # noqa: ANN401
            self.begun.set()
            await self.go_on.wait()
            return await hashing(*args)

        return slow


async def mailed(client: AsyncClient, sent: list[Mail], path: str, body: dict[str, str]) -> str:
    """Request a token, and read it from the mail."""
    assert (await client.post(f"{AUTH}/{path}", json=body)).status_code == 202
    return token_in(sent[-1])


async def request(client: AsyncClient, sent: list[Mail], path: str) -> Awaitable[Response]:
    """One of the requests that hash."""
    body = {"current_password": PASSWORD, "new_password": NEW}
    if path == "change-email":
        body = {"password": PASSWORD, "new_email": "new@example.com"}
    if path == "reset-password":
        token = await mailed(client, sent, "forgot-password", {"email": EMAIL})
        body = {"token": token, "password": NEW}
    if path == "verify-email":
        new = {"email": "grace@example.com", "password": PASSWORD}
        body = {"token": await mailed(client, sent, "register", new), "password": PASSWORD}
    return client.post(f"{AUTH}/{path}", json=body)


PATHS = {"change-password": 204, "change-email": 202, "reset-password": 204, "verify-email": 204}


@pytest.mark.parametrize("path", PATHS)
async def test_others_are_served_while_a_password_is_hashed(
    ada: Account, sent: list[Mail], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    waiting = await request(ada.client, sent, path)
    slow = Slow(monkeypatch)
    under_way = asyncio.ensure_future(waiting)
    await slow.begun.wait()

    other = await ada.client.get("/api/v1/users/me")
    slow.go_on.set()

    assert (other.status_code, (await under_way).status_code) == (200, PATHS[path])


async def act_while_hashing(
    under_way: Awaitable[Response], act: Callable[[], Awaitable[object]], patch: pytest.MonkeyPatch
) -> int:
    """Start a request, act while it is hashing, and return its status."""
    with patch.context() as own:
        slow = Slow(own)
        waiting = asyncio.ensure_future(under_way)
        await slow.begun.wait()
    await act()
    slow.go_on.set()
    return (await waiting).status_code


@pytest.mark.parametrize("path", ["change-password", "change-email"])
async def test_a_password_that_is_replaced_while_it_is_checked_is_wrong(
    ada: Account, sent: list[Mail], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    async def change() -> None:
        body = {"current_password": PASSWORD, "new_password": "what Ada chose"}
        assert (await ada.client.post(f"{AUTH}/change-password", json=body)).status_code == 204

    under_way = await request(ada.client, sent, path)

    assert await act_while_hashing(under_way, change, monkeypatch) == 401
    assert [mail.subject for mail in sent] == ["Your password was changed"]
    assert await login(ada.client, EMAIL, "what Ada chose") == 200


@pytest.mark.parametrize("path", PATHS)
async def test_an_account_that_is_deleted_while_its_password_is_hashed_can_do_nothing(
    ada: Account,
    narrow: Callable[[], AsyncClient],
    committed_db: Database,
    sent: list[Mail],
    monkeypatch: pytest.MonkeyPatch,
    path: str,
) -> None:
    async with narrow() as client:
        admin = await make_account(committed_db, client, "admin@example.com", "admin")

        async def delete() -> None:
            everybody = (await admin.client.get("/api/v1/users")).json()["items"]
            for user in everybody:
                if user["id"] != str(admin.id):
                    deleted = await admin.client.delete(f"/api/v1/users/{user['id']}")
                    assert deleted.status_code == 204

        under_way = await request(ada.client, sent, path)
        status = await act_while_hashing(under_way, delete, monkeypatch)

    assert status == (401 if path.startswith("change") else 422)


@pytest.mark.parametrize("path", ["reset-password", "verify-email"])
async def test_a_token_that_is_redeemed_twice_at_once_is_good_for_one(
    ada: Account, sent: list[Mail], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    under_way = await request(ada.client, sent, path)
    again = {"token": token_in(sent[-1]), "password": NEW if path == "reset-password" else PASSWORD}
    both: list[int] = []

    async def redeem() -> None:
        both.append((await ada.client.post(f"{AUTH}/{path}", json=again)).status_code)

    both.append(await act_while_hashing(under_way, redeem, monkeypatch))

    assert both == [204, 422]


async def test_a_weak_password_uses_no_token_up(ada: Account, sent: list[Mail]) -> None:
    token = await mailed(ada.client, sent, "forgot-password", {"email": EMAIL})

    async def reset(password: str) -> int:
        wanted = {"token": token, "password": password}
        return (await ada.client.post(f"{AUTH}/reset-password", json=wanted)).status_code

    assert [await reset("qwertyuiop"), await reset(NEW)] == [422, 204]
