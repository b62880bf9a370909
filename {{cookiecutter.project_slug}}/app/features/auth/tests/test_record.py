"""Each step of an account is on record, once."""

from httpx2 import AsyncClient

from app.core.db.session import Database
from app.core.mail import Mail
from app.features.auth.tests.steps import AUTH, login, token_in
from conftest import PASSWORD
from tests.trail import Trail

EMAIL, NEW_EMAIL = "ada@example.com", "ada@example.org"
NEW_PASSWORD, LAST_PASSWORD = "an entirely new password", "yet another password"
REPLACED = ["auth.logged_out_everywhere", "auth.password_changed"]


async def enter(client: AsyncClient, password: str) -> None:
    """Log in, and go on as that user."""
    form = {"username": EMAIL, "password": password}
    tokens = (await client.post(f"{AUTH}/login", data=form)).json()
    client.headers["Authorization"] = f"Bearer {tokens['access_token']}"


async def test_what_happens_to_an_account_is_on_record(
    client: AsyncClient, database: Database, sent: list[Mail]
) -> None:
    trail = Trail(database, "auth", "user")
    await trail.new()

    await client.post(f"{AUTH}/register", json={"email": EMAIL, "password": PASSWORD})
    assert await trail.new() == ["user.created"]
    proof = {"token": token_in(sent[-1]), "password": PASSWORD}
    await client.post(f"{AUTH}/verify-email", json=proof)
    assert await trail.new() == ["auth.email_verified"]

    await login(client, EMAIL, "not " + PASSWORD)
    assert await trail.new() == ["auth.login_failed"]
    await enter(client, PASSWORD)
    assert await trail.new() == ["auth.logged_in"]
    await client.post(f"{AUTH}/logout")
    assert await trail.new() == ["auth.logged_out"]

    await client.post(f"{AUTH}/forgot-password", json={"email": EMAIL})
    assert await trail.new() == ["auth.password_reset_requested"]
    reset = {"token": token_in(sent[-1]), "password": NEW_PASSWORD}
    await client.post(f"{AUTH}/reset-password", json=reset)
    assert await trail.new() == REPLACED

    await enter(client, NEW_PASSWORD)
    assert await trail.new() == ["auth.logged_in"]
    for known in ("wrong", NEW_PASSWORD):
        wanted = {"current_password": known, "new_password": LAST_PASSWORD}
        await client.post(f"{AUTH}/change-password", json=wanted)
        assert await trail.new() == (REPLACED if known == NEW_PASSWORD else ["auth.login_failed"])

    await enter(client, LAST_PASSWORD)
    wanted = {"new_email": NEW_EMAIL, "password": LAST_PASSWORD}
    await client.post(f"{AUTH}/change-email", json=wanted)
    first, second = (token_in(mail) for mail in sent[-2:])
    await client.post(f"{AUTH}/confirm-email", json={"token": first})
    assert await trail.new() == ["auth.logged_in"]
    await client.post(f"{AUTH}/confirm-email", json={"token": second})
    assert await trail.new() == ["auth.email_changed", "auth.logged_out_everywhere"]


async def test_who_ends_all_sessions_is_on_record(
    client: AsyncClient, database: Database, sent: list[Mail]
) -> None:
    await client.post(f"{AUTH}/register", json={"email": EMAIL, "password": PASSWORD})
    proof = {"token": token_in(sent[-1]), "password": PASSWORD}
    await client.post(f"{AUTH}/verify-email", json=proof)
    await enter(client, PASSWORD)
    trail = Trail(database, "auth")
    await trail.new()

    await client.post(f"{AUTH}/logout-all")

    assert await trail.new() == ["auth.logged_out_everywhere"]
