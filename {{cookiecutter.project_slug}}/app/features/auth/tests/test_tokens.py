"""Foreign access tokens, reused refresh tokens, revoked sessions."""

import json
from asyncio import gather
from base64 import urlsafe_b64encode
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import jwt
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from jwt.api_jws import PyJWS
from pydantic import SecretStr
from sqlalchemy import select

from app.core.db.base import utc_now
from app.core.db.session import Database, reading
from app.core.security.keys import signing_keys
from app.core.settings import Settings
from app.features.audit.models import AuditEvent
from app.features.auth.deps import arrival
from app.features.auth.settings import AuthSettings
from conftest import Account, SignIn, client_of
from tests.inline import configured

AUTH = "/api/v1/auth"
ME = "/api/v1/users/me"


def forged(settings: Settings, account: Account, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """The claims of a good token, with changes."""
    good = jwt.decode(account.tokens["access_token"], options={"verify_signature": False})
    return good | changes


def signed(
    settings: Settings, claims: dict[str, Any], *, typ: str = "at+jwt", key: str = ""
) -> str:
    """A token with these claims, signed with our key by default."""
    return jwt.encode(
        claims, key or signing_keys(settings)[0], algorithm="HS256", headers={"typ": typ}
    )


async def status(client: AsyncClient, token: str) -> int:
    answer = await client.get(ME, headers={"Authorization": f"Bearer {token}"})
    return answer.status_code


LATER, BEFORE = timedelta(hours=1), timedelta(seconds=-1)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another service"},
        {"aud": ["another service"]},
        {"iss": "another issuer"},
        {"exp": BEFORE},
        {"iat": LATER},
        {"nbf": LATER},
        {"sub": "01890000-0000-7000-8000-000000000000"},
        {"sub": "not an id"},
        {"sid": "01890000-0000-7000-8000-000000000000"},
        {"sid": None},
    ],
    ids=str,
)
async def test_a_token_with_wrong_claims_is_refused(
    client: AsyncClient, member: Account, settings: Settings, changes: dict[str, Any]
) -> None:
    now = utc_now()
    changes = {n: now + v if isinstance(v, timedelta) else v for n, v in changes.items()}
    assert await status(client, signed(settings, forged(settings, member))) == 200
    assert await status(client, signed(settings, forged(settings, member, **changes))) == 401


CLAIMS = ["iss", "aud", "sub", "sid", "jti", "iat", "exp", "nbf"]
ANYTHING: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    10**400,
    "",
    "another",
    "\x00",
    [],
    ["x"],
    [[]],
    {},
    {"a": 1},
]


async def test_a_token_with_a_claim_of_another_type_is_no_fault_of_ours(
    client: AsyncClient, member: Account, settings: Settings
) -> None:
    sign, good = PyJWS(), forged(settings, member)
    for claim in CLAIMS:
        for value in [*ANYTHING, [good.get(claim)], {"x": good.get(claim)}]:
            claims = json.dumps(good | {claim: value}).encode()
            key, typ = signing_keys(settings)[0], {"typ": "at+jwt"}
            token = sign.encode(claims, key, algorithm="HS256", headers=typ)
            harmless = claim in {"jti", "iat", "nbf", "exp"}  # some values only mean another time
            allowed = {401, 200} if harmless else {401}
            assert await status(client, token) in allowed, (claim, value)


@pytest.mark.parametrize("name", ["alg", "typ", "kid", "crit", "b64", "jwk"])
async def test_a_token_with_a_header_of_another_type_is_no_fault_of_ours(
    client: AsyncClient, member: Account, name: str
) -> None:
    _, body, signature = member.tokens["access_token"].split(".")
    for value in ANYTHING:
        header = json.dumps({"alg": "HS256", "typ": "at+jwt", name: value}).encode()
        head = urlsafe_b64encode(header).decode().rstrip("=")
        assert await status(client, f"{head}.{body}.{signature}") == 401, value


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "sid", "jti", "iat", "exp"])
async def test_a_token_that_lacks_a_claim_is_refused(
    client: AsyncClient, member: Account, settings: Settings, claim: str
) -> None:
    claims = forged(settings, member)
    del claims[claim]

    assert await status(client, signed(settings, claims)) == 401


async def test_a_token_that_we_did_not_sign_is_refused(
    client: AsyncClient, member: Account, settings: Settings
) -> None:
    claims = forged(settings, member)
    unsigned = jwt.encode(claims, "", algorithm="none", headers={"typ": "at+jwt"})
    good = member.tokens["access_token"]
    head, body, signature = good.split(".")
    altered = urlsafe_b64encode(b'{"sub":"another issuer"}').decode().rstrip("=")

    for token in (
        unsigned,
        unsigned.rstrip(".") + "." + signature,
        signed(settings, claims, key="another key of at least 32 bytes!!"),
        signed(settings, claims, typ="JWT"),
        f"{head}.{altered}.{signature}",
        f"{head}.{body}.",
        good + "x",
        "x" * 100_000,
        "not.a.token",
        "",
    ):
        assert await status(client, token) == 401, token[:80]


async def test_a_token_signed_with_the_previous_secret_is_believed(
    app: FastAPI, member: Account, database: Database, settings: Settings
) -> None:
    rotated = settings.model_copy(
        update={
            "secret_key": SecretStr("n" * 8 + "ew secret of at least 32 bytes!!"),
            "previous_secret_key": SecretStr(signing_keys(settings)[0]),
        }
    )
    async with client_of(app, database, rotated) as client:
        assert await status(client, member.tokens["access_token"]) == 200


async def refresh(client: AsyncClient, token: str) -> Any:  # noqa: ANN401
    return await client.post(f"{AUTH}/refresh", json={"refresh_token": token})


async def test_a_refresh_token_is_exchanged(client: AsyncClient, member: Account) -> None:
    first = await refresh(client, member.tokens["refresh_token"])
    second = await refresh(client, first.json()["refresh_token"])

    assert (first.status_code, second.status_code) == (200, 200)
    assert await status(client, second.json()["access_token"]) == 200
    used = {member.tokens["refresh_token"], first.json()["refresh_token"]}
    assert second.json()["refresh_token"] not in used


async def test_a_lost_answer_is_given_once_more(client: AsyncClient, member: Account) -> None:
    first = await refresh(client, member.tokens["refresh_token"])
    again = await refresh(client, member.tokens["refresh_token"])
    third = await refresh(client, member.tokens["refresh_token"])

    assert again.json()["refresh_token"] == first.json()["refresh_token"]
    assert third.status_code == 401
    assert await status(client, first.json()["access_token"]) == 401


async def test_a_token_used_after_its_successor_ends_the_session(
    client: AsyncClient, member: Account
) -> None:
    first = await refresh(client, member.tokens["refresh_token"])
    second = await refresh(client, first.json()["refresh_token"])

    assert (await refresh(client, member.tokens["refresh_token"])).status_code == 401
    assert (await refresh(client, second.json()["refresh_token"])).status_code == 401
    assert await status(client, second.json()["access_token"]) == 401


async def test_a_token_used_late_ends_the_session(
    client: AsyncClient, member: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configured(AuthSettings), "refresh_grace_seconds", 0)
    first = await refresh(client, member.tokens["refresh_token"])

    assert (await refresh(client, member.tokens["refresh_token"])).status_code == 401
    assert await status(client, first.json()["access_token"]) == 401


async def test_of_fifty_that_use_a_token_at_once_one_wins_and_the_session_ends(
    app: FastAPI,
    committed_admin: Account,
    committed_db: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, token = committed_admin.client, committed_admin.tokens["refresh_token"]
    together = utc_now()

    async def at_once() -> datetime:
        """However slow this machine is at starting fifty requests."""
        return together

    monkeypatch.setitem(app.dependency_overrides, arrival, at_once)
    answers = await gather(*(refresh(client, token) for _ in range(50)))

    assert Counter(answer.status_code for answer in answers) == {200: 1, 401: 49}
    winner = next(answer for answer in answers if answer.status_code == 200).json()
    assert await status(client, winner["access_token"]) == 401
    assert (await refresh(client, winner["refresh_token"])).status_code == 401
    reused = select(AuditEvent).where(AuditEvent.action == "auth.refresh_token_reused")
    async with reading(committed_db) as session:
        assert len((await session.scalars(reused)).all()) == 1


async def test_logging_out_ends_this_session_and_no_other(
    client: AsyncClient, member: Account
) -> None:
    form = {"username": member.email, "password": "correct horse battery staple"}
    other = (await client.post(f"{AUTH}/login", data=form)).json()

    assert (await member.client.post(f"{AUTH}/logout")).status_code == 204
    assert (await member.client.get(ME)).status_code == 401
    assert (await refresh(client, member.tokens["refresh_token"])).status_code == 401
    assert await status(client, other["access_token"]) == 200


async def test_logging_out_everywhere_ends_all(client: AsyncClient, member: Account) -> None:
    form = {"username": member.email, "password": "correct horse battery staple"}
    other = (await client.post(f"{AUTH}/login", data=form)).json()

    assert (await member.client.post(f"{AUTH}/logout-all")).status_code == 204
    assert await status(client, other["access_token"]) == 401
    assert (await refresh(client, other["refresh_token"])).status_code == 401


async def test_sessions_are_listed_and_ended_by_their_owner_only(
    member: Account, sign_in: SignIn
) -> None:
    stranger = await sign_in("stranger@example.com", "admin")
    mine = (await member.client.get(f"{AUTH}/sessions")).json()
    assert len(mine) == 1
    assert mine[0]["user_agent"].startswith("python-httpx2")

    path = f"{AUTH}/sessions/{mine[0]['id']}"
    assert (await stranger.client.delete(path)).status_code == 404
    assert (await member.client.delete(path)).status_code == 204
    assert (await member.client.get(ME)).status_code == 401


async def test_who_is_switched_off_is_out_at_once(admin: Account, member: Account) -> None:
    off = await admin.client.patch(f"/api/v1/users/{member.id}", json={"is_active": False})

    assert off.status_code == 200
    assert (await member.client.get(ME)).status_code == 401
    assert (await refresh(member.client, member.tokens["refresh_token"])).status_code == 401
