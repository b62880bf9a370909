"""A session that is not used ends, one that is used ends too, and an old one is not enough for everything."""

from datetime import timedelta

from httpx2 import AsyncClient
from sqlalchemy import select, update

from app.core.db.base import utc_now
from app.core.db.session import Database, unit_of_work
from app.features.auth.models import AuthSession
from conftest import PASSWORD, Account, SignIn

AUTH = "/api/v1/auth"
ME = "/api/v1/users/me"
AGAIN = "urn:problem-type:sign-in-again"


async def aged(database: Database, **ago: timedelta) -> None:
    """Set these times of all sessions, so long ago."""
    async with unit_of_work(database) as session:
        times = {name: utc_now() - passed for name, passed in ago.items()}
        await session.execute(update(AuthSession).values(times))


async def ends_in(database: Database) -> timedelta:
    """The time that is left of the only session."""
    async with unit_of_work(database) as session:
        expires_at = (await session.scalars(select(AuthSession.expires_at))).one()
    return expires_at - utc_now()


async def refreshed(account: Account) -> int:
    """The status of a refresh, whose token is used next time."""
    answer = await account.client.post(
        f"{AUTH}/refresh", json={"refresh_token": account.tokens["refresh_token"]}
    )
    if answer.is_success:
        account.tokens.update(answer.json())
    return answer.status_code


async def test_a_session_that_is_not_used_ends_before_its_lifetime(
    database: Database, member: Account
) -> None:
    week = timedelta(hours=168)
    assert timedelta(0) <= week - await ends_in(database) < timedelta(minutes=1)
    async with unit_of_work(database) as session:
        almost = utc_now() + timedelta(minutes=1)
        await session.execute(update(AuthSession).values(expires_at=almost))
    used = await refreshed(member)
    left = await ends_in(database)
    await aged(database, expires_at=timedelta(seconds=1))
    late = await refreshed(member)

    assert (used, late) == (200, 401)
    assert timedelta(0) <= week - left < timedelta(minutes=1)


async def test_a_session_that_is_used_ends_with_its_lifetime(
    database: Database, member: Account
) -> None:
    await aged(database, created_at=timedelta(days=13))
    assert await refreshed(member) == 200

    assert timedelta(hours=23) < await ends_in(database) <= timedelta(days=1)


async def test_deleting_the_account_requires_a_recent_sign_in(
    database: Database, member: Account, client: AsyncClient
) -> None:
    await aged(database, created_at=timedelta(minutes=21))
    await refreshed(member)
    member.client.headers["Authorization"] = f"Bearer {member.tokens['access_token']}"
    refused = await member.client.delete(ME)
    still = await member.client.get(ME)
    form = {"username": member.email, "password": PASSWORD}
    tokens = (await client.post(f"{AUTH}/login", data=form)).json()
    member.client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    deleted = await member.client.delete(ME)

    assert (refused.status_code, refused.json()["type"]) == (401, AGAIN)
    challenge = 'Bearer error="insufficient_user_authentication", max_age=1200'
    assert refused.headers["WWW-Authenticate"] == challenge
    assert refused.json()["detail"] == (
        "This requires a sign-in within the last 20 minutes. Sign in again."
    )
    assert (still.status_code, deleted.status_code) == (200, 204)


async def test_an_administrator_deletes_others_without_signing_in_again(
    database: Database, admin: Account, sign_in: SignIn
) -> None:
    other = await sign_in("other@example.com", "member")
    await aged(database, created_at=timedelta(hours=2))

    assert (await admin.client.delete(f"/api/v1/users/{other.id}")).status_code == 204
    assert (await admin.client.delete(ME)).status_code == 401
