"""Mailed tokens: password reset and change of address."""

from asyncio import gather

from httpx2 import AsyncClient

from app.core.mail import Mail
from app.features.auth.tests.steps import AUTH, login, token_in
from conftest import PASSWORD, Account, SignIn


async def test_a_password_is_reset_by_mail(
    client: AsyncClient, member: Account, sent: list[Mail]
) -> None:
    await client.post(f"{AUTH}/forgot-password", json={"email": member.email})
    await client.post(f"{AUTH}/forgot-password", json={"email": member.email})
    replaced, current = token_in(sent[0]), token_in(sent[1])
    new = "an entirely new password"

    async def reset(token: str) -> int:
        wanted = {"token": token, "password": new}
        return (await client.post(f"{AUTH}/reset-password", json=wanted)).status_code

    assert await reset(replaced) == 422
    assert await reset(current) == 204
    assert await reset(current) == 422
    assert await login(client, member.email) == 401
    assert await login(client, member.email, new) == 200
    assert (await member.client.get("/api/v1/users/me")).status_code == 401


async def test_a_token_for_one_purpose_is_none_for_another(
    client: AsyncClient, member: Account, sent: list[Mail]
) -> None:
    await client.post(f"{AUTH}/forgot-password", json={"email": member.email})
    token = token_in(sent[0])

    verify = await client.post(f"{AUTH}/verify-email", json={"token": token, "password": PASSWORD})
    confirm = await client.post(f"{AUTH}/confirm-email", json={"token": token})

    assert (verify.status_code, confirm.status_code) == (422, 422)


async def test_a_changed_password_ends_every_session_and_every_mailed_token(
    client: AsyncClient, member: Account, sent: list[Mail]
) -> None:
    await client.post(f"{AUTH}/forgot-password", json={"email": member.email})
    new = "an entirely new password"

    wrong = await member.client.post(
        f"{AUTH}/change-password", json={"current_password": "wrong", "new_password": new}
    )
    right = await member.client.post(
        f"{AUTH}/change-password", json={"current_password": PASSWORD, "new_password": new}
    )

    assert (wrong.status_code, right.status_code) == (401, 204)
    assert (await member.client.get("/api/v1/users/me")).status_code == 401
    stale = {"token": token_in(sent[0]), "password": "yet another password"}
    assert (await client.post(f"{AUTH}/reset-password", json=stale)).status_code == 422
    assert sent[-1].subject == "Your password was changed"


async def test_an_address_changes_when_both_have_confirmed(
    client: AsyncClient, member: Account, sent: list[Mail]
) -> None:
    wanted = {"new_email": "new@example.com", "password": PASSWORD}
    assert (await member.client.post(f"{AUTH}/change-email", json=wanted)).status_code == 202
    assert [mail.to for mail in sent] == [member.email, "new@example.com"]

    first = {"token": token_in(sent[1])}
    assert (await client.post(f"{AUTH}/confirm-email", json=first)).status_code == 204
    assert await login(client, "new@example.com") == 401

    second = {"token": token_in(sent[0])}
    assert (await client.post(f"{AUTH}/confirm-email", json=second)).status_code == 204
    assert await login(client, "new@example.com") == 200
    assert await login(client, member.email) == 401


async def test_an_address_that_is_taken_is_told_to_its_owner_only(
    client: AsyncClient, member: Account, sign_in: SignIn, sent: list[Mail]
) -> None:
    other = await sign_in("other@example.com")
    wanted = {"new_email": other.email, "password": PASSWORD}

    answer = await member.client.post(f"{AUTH}/change-email", json=wanted)

    assert answer.status_code == 202
    assert [(mail.to, mail.subject) for mail in sent] == [
        (member.email, "Confirm your new email address"),
        (other.email, "You already have an account"),
    ]
    confirmed = await client.post(f"{AUTH}/confirm-email", json={"token": token_in(sent[0])})
    assert confirmed.status_code == 422
    assert await login(client, other.email) == 200


async def test_both_confirmations_at_once_change_the_address(
    committed_admin: Account, sent: list[Mail]
) -> None:
    client = committed_admin.client
    wanted = {"new_email": "new@example.com", "password": PASSWORD}
    await client.post(f"{AUTH}/change-email", json=wanted)

    answers = await gather(
        *(client.post(f"{AUTH}/confirm-email", json={"token": token_in(mail)}) for mail in sent[:2])
    )

    assert [answer.status_code for answer in answers] == [204, 204]
    assert await login(client, "new@example.com") == 200
