"""A tenant's members share its rate of requests."""

from uuid import uuid4

from fastapi import FastAPI

from app.core.db.session import Database
from app.features.limits.settings import Rate
from app.features.limits.tests.steps import HERE, limited
from conftest import SignIn

ME = "/api/v1/users/me"
OWN = "/api/v1/tenants"


async def test_members_of_a_tenant_share_its_rate_and_others_have_their_own(
    app: FastAPI, database: Database, sign_in: SignIn
) -> None:
    ada, bob = [await sign_in(f"{name}@example.com", "member") for name in ("ada", "bob")]
    service = limited(app, database, user=[Rate(20, 60)], tenant=[Rate(6, 60)])
    clients = [service.at(HERE, each.tokens["access_token"]) for each in (ada, bob)]
    [shared] = (await clients[0].get(OWN)).json()["items"][:1]
    alone = (await clients[1].post(OWN, json={"name": "Bob's"})).json()
    where = f"{OWN}/{shared['tenant']['id']}/members"
    answers = [await clients[n % 2].get(where) for n in range(8)]
    elsewhere = await clients[1].get(f"{OWN}/{alone['tenant']['id']}/members")
    own_rows = await clients[0].get(ME)

    assert [each.status_code for each in answers] == [200] * 6 + [429] * 2
    assert answers[0].headers["RateLimit-Policy"] == '"user";q=20;w=60, "tenant";q=6;w=60'
    assert answers[6].json()["type"] == "urn:problem-type:too-many-requests"
    assert elsewhere.status_code == own_rows.status_code == 200
    assert "tenant" not in own_rows.headers["RateLimit"]


async def test_looking_for_tenants_counts_against_the_user(
    app: FastAPI, database: Database, sign_in: SignIn
) -> None:
    ada = await sign_in("ada@example.com", "member")
    service = limited(app, database, user=[Rate(2, 60)], address=[Rate(1, 60)])
    client = service.at(HERE, ada.tokens["access_token"])
    found = [(await client.get(f"{OWN}/{uuid4()}/members")).status_code for _ in range(3)]

    assert found == [404, 404, 429]
    assert (await service.at(HERE).get("/docs")).status_code == 200
