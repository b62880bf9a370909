"""Registration, verification, login, and what they reveal to strangers."""

import re
from asyncio import gather

import bcrypt
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.session import Database
from app.core.mail import Mail
from app.core.security import passwords
from app.core.settings import Settings
from app.features.auth import repository
from app.features.auth.tests.steps import AUTH, login, token_in
from app.features.users.models import User
from conftest import PASSWORD, Account, client_of, make_account
from tests.meanwhile import meanwhile

NEW = {"email": "Ada@Example.com", "password": PASSWORD, "full_name": "Ada"}


async def test_from_registration_to_a_request_as_oneself(
    client: AsyncClient, sent: list[Mail]
) -> None:
    assert (await client.post(f"{AUTH}/register", json=NEW)).status_code == 202
    assert await login(client, "ada@example.com") == 401

    proof = {"token": token_in(sent[0]), "password": PASSWORD}
    assert sent[0].to == "ada@example.com"
    assert (await client.post(f"{AUTH}/verify-email", json=proof)).status_code == 204

    form = {"username": "ADA@example.com", "password": PASSWORD}
    answer = await client.post(f"{AUTH}/login", data=form)
    tokens = answer.json()
    assert answer.status_code == 200
    assert tokens["token_type"] == "bearer"
    assert tokens["expires_in"] == 900
    client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    me = (await client.get("/api/v1/users/me")).json()
    assert me["email"] == "ada@example.com"
    assert me["full_name"] == "Ada"
    assert [role["name"] for role in me["roles"]] == ["member"]


async def test_a_verification_works_once(client: AsyncClient, sent: list[Mail]) -> None:
    await client.post(f"{AUTH}/register", json=NEW)
    proof = {"token": token_in(sent[0]), "password": PASSWORD}

    answers = [await client.post(f"{AUTH}/verify-email", json=proof) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 422]


async def test_a_click_by_the_owner_does_not_let_in_who_registered_their_address(
    client: AsyncClient, sent: list[Mail]
) -> None:
    await client.post(f"{AUTH}/register", json=NEW | {"password": "the thief's own"})
    guess = {"token": token_in(sent[0]), "password": "what the owner thinks of"}

    assert (await client.post(f"{AUTH}/verify-email", json=guess)).status_code == 422
    assert await login(client, NEW["email"], "the thief's own") == 401


async def test_registering_again_replaces_an_unverified_attempt(
    client: AsyncClient, sent: list[Mail]
) -> None:
    await client.post(f"{AUTH}/register", json=NEW | {"password": "the thief's own"})
    await client.post(f"{AUTH}/register", json=NEW)

    old = {"token": token_in(sent[0]), "password": PASSWORD}
    new = {"token": token_in(sent[1]), "password": PASSWORD}
    assert (await client.post(f"{AUTH}/verify-email", json=old)).status_code == 422
    assert (await client.post(f"{AUTH}/verify-email", json=new)).status_code == 204
    assert await login(client, NEW["email"], "the thief's own") == 401
    assert await login(client, NEW["email"]) == 200


async def test_a_mail_to_a_stranger_repeats_nothing_that_was_typed(
    client: AsyncClient, sent: list[Mail]
) -> None:
    await client.post(f"{AUTH}/register", json=NEW | {"full_name": "Your prize: evil.example"})
    await client.post(f"{AUTH}/register", json=NEW | {"full_name": "+1 800 555 0199 now"})

    for mail in sent:
        assert not re.search("evil|prize|0199", mail.subject + mail.text + mail.html)


@pytest.mark.parametrize("path", ["register", "forgot-password"])
async def test_responses_do_not_reveal_whether_an_address_is_known(
    client: AsyncClient, member: Account, path: str
) -> None:
    more = {"password": PASSWORD} if path == "register" else {}

    known = await client.post(f"{AUTH}/{path}", json={"email": member.email} | more)
    unknown = await client.post(f"{AUTH}/{path}", json={"email": "stranger@example.com"} | more)

    assert known.status_code == unknown.status_code == 202
    assert known.json() == unknown.json()


async def test_a_failed_login_does_not_say_why(
    client: AsyncClient, member: Account, session: AsyncSession
) -> None:
    answers: list[dict[str, object]] = []
    for email in (member.email, "stranger@example.com"):
        form = {"username": email, "password": "wrong password"}
        answer = await client.post(f"{AUTH}/login", data=form)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        answers.append({k: v for k, v in answer.json().items() if k != "correlation_id"})

    assert answers[0] == answers[1]


async def test_registering_a_known_address_tells_its_owner(
    client: AsyncClient, member: Account, sent: list[Mail]
) -> None:
    await client.post(f"{AUTH}/register", json={"email": member.email, "password": PASSWORD})

    assert [(mail.to, mail.subject) for mail in sent] == [
        (member.email, "You already have an account")
    ]


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short7!", "A password must have 8 to 1024 characters."),
        ("x" * 1025, "The request does not match the schema."),
        ("qwertyuiop", "This password is too easy to guess."),
        ("Welcome123!", "This password is too easy to guess."),
        ("aaaaaaaaaaaa", "This password is too easy to guess."),
        ("ada@example.com", "The password must not be the email address."),
    ],
)
async def test_a_password_that_would_be_guessed_is_refused(
    client: AsyncClient, sent: list[Mail], password: str, why: str
) -> None:
    answer = await client.post(f"{AUTH}/register", json=NEW | {"password": password})

    assert (answer.status_code, answer.json()["detail"]) == (422, why)
    assert password not in answer.text
    assert sent == []


@pytest.mark.parametrize(
    "extra",
    [{"is_superuser": True}, {"roles": ["admin"]}, {"id": "0" * 32}, {"is_active": True}],
)
async def test_registration_grants_no_extra_privileges(
    client: AsyncClient, extra: dict[str, object]
) -> None:
    answer = await client.post(f"{AUTH}/register", json=NEW | extra)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["rule"] == "extra_forbidden"


async def test_an_old_bcrypt_hash_is_accepted_once_and_replaced(
    client: AsyncClient, member: Account, session: AsyncSession
) -> None:
    user = await session.get_one(User, member.id)
    user.password_hash = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    await session.commit()

    assert await login(client, member.email) == 200

    stored = select(User.password_hash).where(User.id == member.id)
    assert (await session.scalar(stored) or "").startswith("$argon2id$")
    assert await login(client, member.email) == 200


async def test_a_password_that_bcrypt_cannot_check_is_wrong(
    client: AsyncClient, member: Account, session: AsyncSession
) -> None:
    user = await session.get_one(User, member.id)
    user.password_hash = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    await session.commit()

    assert await login(client, member.email, "x" * 100) == 401


async def test_an_unverified_account_is_like_none(client: AsyncClient, member: Account) -> None:
    """Else registering an address and signing in with it would reveal whether it was taken."""
    for email in (member.email, "free@example.com"):
        new = {"email": email, "password": "the stranger's own"}
        assert (await client.post(f"{AUTH}/register", json=new)).status_code == 202
        assert await login(client, email, "the stranger's own") == 401


async def test_those_who_register_one_address_at_once_hear_the_same(
    committed_client: AsyncClient, sent: list[Mail]
) -> None:
    answers = await gather(*(committed_client.post(f"{AUTH}/register", json=NEW) for _ in range(5)))

    assert {answer.status_code for answer in answers} == {202}
    assert sent


async def test_a_password_changed_during_the_check_is_refused(
    committed_admin: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = committed_admin.client
    verify = passwords.verify

    async def slow(password: str, stored: str | None) -> tuple[bool, str | None]:
        result = await verify(password, stored)
        monkeypatch.setattr(passwords, "verify", verify)
        change = {"current_password": PASSWORD, "new_password": "an entirely new password"}
        assert (await client.post(f"{AUTH}/change-password", json=change)).status_code == 204
        return result

    monkeypatch.setattr(passwords, "verify", slow)

    assert await login(client, committed_admin.email) == 401


@pytest.mark.parametrize("name", ["a\x00b", "x" * 5000, "@", "josé@example.com", " "])
async def test_an_invalid_address_cannot_sign_in(client: AsyncClient, name: str) -> None:
    assert await login(client, name) in {401, 422}


@pytest.mark.parametrize("step", ["session_of", "live_session", "refresh_token"])
async def test_a_token_is_exchanged_before_its_account_is_deleted_or_not_at_all(
    app: FastAPI,
    committed_admin: Account,
    committed_db: Database,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    async with client_of(app, committed_db, settings) as client:
        member = await make_account(committed_db, client, "member@example.com", "member")
        url = f"/api/v1/users/{member.id}"
        delete = committed_admin.client.delete
        begun = meanwhile(monkeypatch, repository, step, lambda: delete(url))
        token = {"refresh_token": member.tokens["refresh_token"]}
        answer = await client.post(f"{AUTH}/refresh", json=token)

    deleted = (await begun[0]).status_code
    assert (answer.status_code, deleted) in {(401, 204), (200, 204)}
