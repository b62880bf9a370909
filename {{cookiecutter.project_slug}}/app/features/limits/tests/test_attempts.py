"""Guessing is slow, and locks no user out of their own account."""

from collections.abc import Sequence

from fastapi import FastAPI
from httpx2 import AsyncClient

from app.core.db.session import Database
from app.core.mail import Mail
from app.features.limits.settings import Rate
from app.features.limits.tests.steps import HERE, THERE, limited
from conftest import PASSWORD, Account

AUTH = "/api/v1/auth"
WRONG = "not the password at all"


async def sign_in_at(client: AsyncClient, email: str, *given: str) -> list[int]:
    """The statuses of attempts with these passwords."""
    forms = [{"username": email, "password": each} for each in given]
    return [(await client.post(f"{AUTH}/login", data=form)).status_code for form in forms]


async def test_guessing_one_password_becomes_slower_and_slower(
    app: FastAPI, database: Database, member: Account
) -> None:
    rates = [Rate(2, 60), Rate(3, 900)]
    service = limited(app, database, login_account=rates)
    client = service.at(THERE)
    guesses: list[list[int]] = []
    for minutes in (0, 2, 4, 40):
        service.clock.now = 1000.0 + 60 * minutes
        guesses.append(await sign_in_at(client, member.email, WRONG, WRONG, PASSWORD))

    assert guesses == [[401, 401, 429], [401, 429, 429], [429, 429, 429], [401, 401, 429]]


async def test_a_stranger_who_guesses_does_not_lock_the_owner_out(
    app: FastAPI, database: Database, member: Account
) -> None:
    service = limited(app, database, login_account=[Rate(3, 60)], login_anywhere=[Rate(6, 3600)])
    owner = service.at("192.0.2.1")
    assert await sign_in_at(owner, member.email, PASSWORD) == [200]
    for number in range(3):
        stranger = service.at(f"203.0.113.{number}")
        await sign_in_at(stranger, member.email, WRONG, WRONG, WRONG)
    from_anywhere = await sign_in_at(service.at(HERE), member.email, PASSWORD)
    from_home = await sign_in_at(owner, member.email, PASSWORD)
    other_account = await sign_in_at(service.at("203.0.113.1"), "eve@example.com", WRONG)

    assert from_anywhere == [429]
    assert from_home == [200]
    assert other_account == [401]


async def test_the_right_password_forgives_the_wrong_ones(
    app: FastAPI, database: Database, member: Account
) -> None:
    client = limited(app, database, login_account=[Rate(3, 60)]).at(HERE)
    tries = (WRONG, WRONG, PASSWORD, WRONG, WRONG, PASSWORD)

    assert await sign_in_at(client, member.email, *tries) == [401, 401, 200, 401, 401, 200]


async def test_one_address_cannot_try_many_accounts(app: FastAPI, database: Database) -> None:
    service = limited(app, database, login_address=[Rate(5, 300)])
    client = service.at(HERE)
    statuses = [
        status
        for number in range(7)
        for status in await sign_in_at(client, f"user{number}@example.com", WRONG)
    ]
    refused = await client.post(
        f"{AUTH}/login", data={"username": "ada@example.com", "password": WRONG}
    )

    assert statuses == [401] * 5 + [429] * 2
    assert refused.json()["type"] == "urn:problem-type:too-many-attempts"
    assert refused.headers["Retry-After"] == "360"
    assert await sign_in_at(service.at(THERE), "ada@example.com", WRONG) == [401]


async def test_whether_an_account_exists_shows_in_no_limit(
    app: FastAPI, database: Database, member: Account
) -> None:
    service = limited(
        app,
        database,
        login_account=[Rate(3, 60)],
        login_anywhere=[Rate(5, 60)],
        mail_account=[Rate(2, 60)],
    )
    found: list[Sequence[object]] = []
    for email in (member.email, "unknown@example.com"):
        client = service.at(HERE)
        logins = await sign_in_at(client, email, *[WRONG] * 5)
        resets = [
            (await client.post(f"{AUTH}/forgot-password", json={"email": email})).status_code
            for _ in range(3)
        ]
        found.append([logins, resets])

    assert found[0] == found[1] == [[401, 401, 401, 429, 429], [202, 202, 429]]


async def test_no_mailbox_is_flooded(app: FastAPI, database: Database, sent: list[Mail]) -> None:
    service = limited(app, database, mail_anywhere=[Rate(3, 900)])
    registration = {"email": "ada@example.com", "password": PASSWORD}
    statuses = [
        (await service.at(f"203.0.113.{n}").post(f"{AUTH}/register", json=registration)).status_code
        for n in range(5)
    ]

    assert statuses == [202] * 3 + [429] * 2
    assert len(sent) == 3


async def test_tokens_cannot_be_guessed_at_any_door(app: FastAPI, database: Database) -> None:
    doors = {
        "refresh": {"refresh_token": "guess"},
        "verify-email": {"token": "guess", "password": PASSWORD},
        "reset-password": {"token": "guess", "password": PASSWORD},
        "confirm-email": {"token": "guess"},
    }
    client = limited(app, database, token_address=[Rate(4, 60)]).at(HERE)
    statuses = {
        name: (await client.post(f"{AUTH}/{name}", json=body)).status_code
        for name, body in doors.items()
    }
    refused = [
        (await client.post(f"{AUTH}/{name}", json=b)).status_code for name, b in doors.items()
    ]

    assert 429 not in statuses.values()
    assert refused == [429] * 4


async def test_a_stolen_access_token_does_not_help_to_guess_the_password(
    app: FastAPI, database: Database, member: Account
) -> None:
    service = limited(app, database, login_account=[Rate(2, 60)])
    client = service.at(HERE, member.tokens["access_token"])
    change = {"current_password": WRONG, "new_password": "another long password"}
    guesses = [
        (await client.post(f"{AUTH}/change-password", json=change)).status_code for _ in range(3)
    ]
    right = await client.post(
        f"{AUTH}/change-email", json={"new_email": "new@example.com", "password": PASSWORD}
    )

    assert guesses == [401, 401, 429]
    assert right.status_code == 429


async def test_the_owner_keeps_the_network_that_signed_in(
    app: FastAPI, database: Database, member: Account
) -> None:
    service = limited(app, database, login_anywhere=[Rate(3, 3600)])
    home = service.at("2001:db8:1:1::1")
    assert await sign_in_at(home, member.email, PASSWORD) == [200]
    await sign_in_at(service.at(THERE), member.email, WRONG, WRONG, WRONG)

    moved = await sign_in_at(service.at("2001:db8:1:1:abcd::2"), member.email, PASSWORD)
    elsewhere = await sign_in_at(service.at("2001:db8:1:2::1"), member.email, PASSWORD)

    assert (moved, elsewhere) == ([200], [429])


async def test_who_shares_a_network_with_the_owner_does_not_learn_of_the_account(
    app: FastAPI, database: Database, member: Account
) -> None:
    service = limited(app, database, login_anywhere=[Rate(3, 3600)])
    shared = service.at(HERE)
    assert await sign_in_at(shared, member.email, PASSWORD) == [200]
    for email in (member.email, "unknown@example.com"):
        await sign_in_at(service.at(THERE), email, WRONG, WRONG, WRONG)

    known = await sign_in_at(shared, member.email, WRONG)
    unknown = await sign_in_at(shared, "unknown@example.com", WRONG)

    assert known == unknown == [429]


async def test_a_stolen_access_token_does_not_help_from_many_addresses_either(
    app: FastAPI, database: Database, member: Account
) -> None:
    service = limited(app, database, login_anywhere=[Rate(3, 3600)])
    change = {"current_password": WRONG, "new_password": "another long password"}
    statuses: list[int] = []
    for number in range(5):
        client = service.at(f"203.0.113.{number}", member.tokens["access_token"])
        statuses.append((await client.post(f"{AUTH}/change-password", json=change)).status_code)

    assert statuses == [401, 401, 401, 429, 429]


async def test_a_client_without_an_address_is_counted(
    app: FastAPI, database: Database, member: Account
) -> None:
    """As behind a Unix socket, where a proxy names none."""
    client = limited(app, database, login_account=[Rate(2, 60)]).at("")

    assert await sign_in_at(client, member.email, WRONG, WRONG, PASSWORD) == [401, 401, 429]


async def test_mails_for_one_purpose_use_up_none_for_another(
    app: FastAPI, database: Database, member: Account, sent: list[Mail]
) -> None:
    service = limited(app, database, mail_account=[Rate(2, 900)], mail_anywhere=[Rate(3, 900)])
    stranger, owner = service.at(THERE), service.at(HERE)
    weak = {"email": member.email, "password": "aaaaaaaaaaaaaaaa"}
    strong = {"email": member.email, "password": "another long password"}
    refused = [(await stranger.post(f"{AUTH}/register", json=weak)).status_code for _ in range(4)]
    taken = [(await stranger.post(f"{AUTH}/register", json=strong)).status_code for _ in range(3)]
    reset = await owner.post(f"{AUTH}/forgot-password", json={"email": member.email})

    assert refused == [422] * 4
    assert taken == [202, 202, 429]
    assert reset.status_code == 202
    assert len(sent) == 3
