"""Queries count what they cost, against the caller, and each attempt counts once, over REST or GraphQL."""

from fastapi import FastAPI

from app.core.db.session import Database
from app.features.graphql.tests.steps import URL, ask, post
from app.features.limits.settings import Rate
from app.features.limits.tests.steps import HERE, THERE, limited
from conftest import PASSWORD, Account

USERS = "{ users(first: 100) { nodes { id } } roles(first: 100) { nodes { id } } }"
LOGIN = "mutation ($email: String!, $password: String!) { login(email: $email, password: $password) { accessToken } }"
LIMITS = "{ rateLimits { name limit cost remaining resetsAt } }"
TOO_MANY = "urn:problem-type:too-many-requests"


async def test_a_query_counts_what_it_costs(
    app: FastAPI, database: Database, admin: Account
) -> None:
    service = limited(app, database, user=[Rate(5, 60)])
    client = service.at(HERE, admin.tokens["access_token"])
    answers = [await post(client, USERS) for _ in range(3)]

    assert [each.status_code for each in answers] == [200, 200, 429]
    assert [each.headers["RateLimit"] for each in answers] == [
        f'"user";r={left};t=60' for left in (3, 1, 0)
    ]
    assert answers[2].headers["Content-Type"] == "application/problem+json"
    assert answers[2].json()["type"] == TOO_MANY


async def test_a_caller_reads_what_is_left(
    app: FastAPI, database: Database, admin: Account
) -> None:
    service = limited(app, database, user=[Rate(10, 60)])
    client = service.at(HERE, admin.tokens["access_token"])
    await post(client, USERS)
    [left] = (await ask(client, LIMITS))["rateLimits"]

    assert (left["name"], left["limit"], left["cost"], left["remaining"]) == ("user", 10, 1, 7)
    assert left["resetsAt"].endswith("Z")


async def test_without_limits_there_are_none_to_read(
    app: FastAPI, database: Database, admin: Account
) -> None:
    client = limited(app, database).at(HERE, admin.tokens["access_token"])

    assert (await ask(client, LIMITS))["rateLimits"] == []


async def test_strangers_count_against_their_address(app: FastAPI, database: Database) -> None:
    service = limited(app, database, address=[Rate(3, 60)])
    client = service.at(HERE)
    queries = ["{ __typename }", "{ nonsense", "{ me { id } }", "{ __typename }"]
    statuses = [(await post(client, each)).status_code for each in queries]
    forged = service.at(THERE, "forged")
    of_forged = [(await post(forged, "{ me { id } }")).status_code for _ in range(9)]

    assert statuses == [200, 400, 200, 429]
    assert of_forged == [200] * 3 + [429] * 6


async def test_a_mutation_that_is_too_much_is_not_executed(
    app: FastAPI, database: Database, member: Account
) -> None:
    service = limited(app, database, user=[Rate(6, 60)])
    client = service.at(HERE, member.tokens["access_token"])
    await ask(client, "{ me { id } }")
    await ask(client, "{ me { id } }")
    refused = await post(client, "mutation { logoutAll }")
    after = await ask(client, "{ me { id } }")

    assert refused.status_code == 429
    assert after["me"]["id"]


async def test_an_attempt_counts_once_over_rest_or_graphql(
    app: FastAPI, database: Database, member: Account
) -> None:
    client = limited(app, database, login_account=[Rate(3, 60)]).at(HERE)
    guess = {"email": member.email, "password": "wrong"}
    form = {"username": member.email, "password": "wrong"}
    found: list[object] = []
    for _ in range(2):
        [error] = (await post(client, LOGIN, **guess)).json()["errors"]
        found.append(error["extensions"]["type"].rpartition(":")[2])
        found.append((await client.post("/api/v1/auth/login", data=form)).status_code)
    [error] = (await post(client, LOGIN, email=member.email, password=PASSWORD)).json()["errors"]

    assert found == ["wrong-credentials", 401, "wrong-credentials", 429]
    assert error["extensions"]["type"] == "urn:problem-type:too-many-attempts"
    assert error["extensions"]["retry_after"] > 0
    assert (await client.post(URL, json={"query": "{ __typename }"})).status_code == 200


async def test_a_token_frees_no_query_of_its_price(
    app: FastAPI, database: Database, member: Account
) -> None:
    """Whether or not the query has a field that authenticates, and the token a session."""
    service = limited(app, database, user=[Rate(3, 60)], address=[Rate(3, 60)])
    client = service.at(HERE, member.tokens["access_token"])
    statuses = [(await post(client, "{ __typename }")).status_code for _ in range(4)]
    service = limited(app, database, user=[Rate(3, 60)], address=[Rate(3, 60)])
    await ask(member.client, "mutation { logout }")
    client = service.at(HERE, member.tokens["access_token"])
    revoked = [(await post(client, "{ __typename }")).status_code for _ in range(4)]

    assert statuses == revoked == [200, 200, 200, 429]


async def test_what_is_no_query_counts_too(app: FastAPI, database: Database) -> None:
    client = limited(app, database, address=[Rate(2, 60)]).at(HERE)
    bodies = ["text", "[]", "{}"]
    kinds = ["text/plain", "application/json", "application/json"]
    statuses = [
        (await client.post(URL, content=body, headers={"Content-Type": kind})).status_code
        for body, kind in zip(bodies, kinds, strict=True)
    ]

    assert statuses == [415, 400, 429]
