"""Requests are counted by user or address, and what is too much is refused."""

import asyncio

from fastapi import FastAPI
from httpx2 import AsyncClient

from app.core.db.session import Database
from app.core.routing import SERVICE, router as new_router
from app.core.security.access import public, uncounted
from app.core.settings import Settings
from app.features.limits.service import network
from app.features.limits.settings import Rate
from app.features.limits.tests.steps import HERE, THERE, Limited, limited
from app.main import create_app
from conftest import Account, SignIn
from tests.outages import eventually

API = "/api/v1"
ME = f"{API}/users/me"


def extended(settings: Settings) -> FastAPI:
    """The service with a router that others include."""
    app = create_app(settings)
    inner = new_router("/things", tag="things", about=SERVICE)
    gate = asyncio.Event()

    @inner.get("", dependencies=[public])
    async def read() -> str:
        return "things"

    @inner.post("", dependencies=[public])
    async def write() -> str:
        return "written"

    @inner.get("/probe", dependencies=[uncounted])
    async def probe() -> str:
        return "alive"

    @inner.get("/slow", dependencies=[public])
    async def wait() -> str:
        await gate.wait()
        return "at last"

    @inner.get("/open", dependencies=[public])
    async def open_gate() -> None:
        gate.set()

    outer = new_router("/outer", tag="things", about=SERVICE)
    outer.include_router(inner)
    app.include_router(inner)
    app.include_router(outer)
    return app


async def several(client: AsyncClient, count: int, path: str) -> list[int]:
    """The statuses of as many requests."""
    return [(await client.get(path)).status_code for _ in range(count)]


async def occupied(service: Limited, count: int) -> None:
    """Wait until it serves so many requests at once."""

    async def holds() -> bool:
        return service.limiter.running.total() == count

    await eventually(holds)


async def test_of_a_thousand_requests_at_once_exactly_as_many_are_served_as_the_rate_says(
    settings: Settings, database: Database
) -> None:
    service = limited(extended(settings), database, address=[Rate(50, 60)], concurrent=1000)

    client = service.at(HERE)
    answers = await asyncio.gather(*(client.get(f"{API}/things") for _ in range(1000)))

    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] * 50 + [429] * 950


async def test_a_refusal_says_when_to_try_again_and_every_answer_what_is_left(
    settings: Settings, database: Database
) -> None:
    service = limited(extended(settings), database, address=[Rate(2, 60)])
    client = service.at(HERE)
    first, second, third = [await client.get(f"{API}/outer{API}/things") for _ in range(3)]
    service.clock.now += 89
    early = await client.get(f"{API}/things")
    service.clock.now += 1.5
    late = await client.get(f"{API}/things")

    assert first.headers["RateLimit-Policy"] == '"address";q=2;w=60'
    assert first.headers["RateLimit"] == '"address";r=1;t=60'
    assert second.headers["RateLimit"] == '"address";r=0;t=60'
    assert third.status_code == 429
    assert third.headers["Content-Type"] == "application/problem+json"
    assert third.headers["RateLimit"] == '"address";r=0;t=60'
    assert third.headers["Retry-After"] == "90"
    problem = third.json()
    assert problem["type"] == "urn:problem-type:too-many-requests"
    assert problem["detail"] == "Too many requests. Try again in 90 s."
    assert (problem["retry_after"], early.status_code, late.status_code) == (90, 429, 200)


async def test_writes_weigh_five_and_head_as_much_as_get(
    settings: Settings, database: Database
) -> None:
    client = limited(extended(settings), database, address=[Rate(12, 60)]).at(HERE)
    path = f"{API}/things"
    answers = [await client.request(method, path) for method in ("POST", "GET", "HEAD", "POST")]
    refused = await client.get(path)

    assert [each.headers["RateLimit"].split(";")[1] for each in answers] == [
        "r=7",
        "r=6",
        "r=5",
        "r=0",
    ]
    assert refused.status_code == 429


async def test_an_address_does_not_pay_for_another_or_for_users(
    settings: Settings, database: Database, sign_in: SignIn
) -> None:
    ada, bob = [await sign_in(f"{name}@example.com", "member") for name in ("ada", "bob")]
    service = limited(extended(settings), database, address=[Rate(2, 60)], user=[Rate(3, 60)])
    stranger = await several(service.at(HERE), 4, f"{API}/things")
    elsewhere = await several(service.at(THERE), 2, f"{API}/things")
    users = [
        await several(service.at(HERE, each.tokens["access_token"]), 4, ME) for each in (ada, bob)
    ]

    assert stranger == [200, 200, 429, 429]
    assert elsewhere == [200, 200]
    assert users == [[200, 200, 200, 429]] * 2


async def test_wrong_credentials_count_against_the_address(
    app: FastAPI, database: Database, member: Account
) -> None:
    service = limited(app, database, address=[Rate(2, 60)], user=[Rate(3, 60)])
    await member.client.post(f"{API}/auth/logout")

    forged = await several(service.at(HERE, "forged"), 3, ME)
    revoked = await several(service.at(THERE, member.tokens["access_token"]), 3, ME)

    assert forged == revoked == [401, 401, 429]


async def test_what_a_user_may_not_do_counts_too(
    app: FastAPI, database: Database, member: Account
) -> None:
    service = limited(app, database, user=[Rate(2, 60)])
    client = service.at(HERE, member.tokens["access_token"])

    assert await several(client, 3, f"{API}/users") == [403, 403, 429]


async def test_probes_are_not_counted(settings: Settings, database: Database) -> None:
    client = limited(extended(settings), database, address=[Rate(1, 60)]).at(HERE)
    for path in ("/health/live", "/health/ready", f"{API}/things/probe"):
        assert await several(client, 5, path) == [200] * 5
    answer = await client.get("/health/live")

    assert "RateLimit" not in answer.headers


async def test_without_a_rate_nothing_is_said_or_refused(
    settings: Settings, database: Database
) -> None:
    client = limited(extended(settings), database).at(HERE)
    assert await several(client, 50, f"{API}/things") == [200] * 50
    assert "RateLimit" not in (await client.get(f"{API}/things")).headers


async def test_one_caller_cannot_occupy_the_service(settings: Settings, database: Database) -> None:
    service = limited(extended(settings), database, concurrent=3)
    client, path = service.at(HERE), f"{API}/things/slow"
    waiting = [asyncio.create_task(client.get(path)) for _ in range(3)]
    await occupied(service, 3)
    refused = await client.get(path)
    other = service.at(THERE)
    beside = await other.get(f"{API}/things")
    await other.get(f"{API}/things/open")
    answers = await asyncio.gather(*waiting)
    again = await client.get(path)

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert refused.json()["detail"] == "Too many requests at once. Try again in 1 s."
    assert [each.status_code for each in (beside, *answers, again)] == [200] * 5
    assert not service.limiter.running


async def test_a_caller_who_leaves_occupies_nothing(settings: Settings, database: Database) -> None:
    service = limited(extended(settings), database, concurrent=1)
    client = service.at(HERE)
    waiting = asyncio.create_task(client.get(f"{API}/things/slow"))
    await occupied(service, 1)
    waiting.cancel()
    await asyncio.wait([waiting])

    assert (await client.get(f"{API}/things")).status_code == 200
    assert not service.limiter.running


async def test_pages_of_other_origins_may_read_the_limits(
    settings: Settings, database: Database
) -> None:
    origin = "https://app.example.com"
    shop = settings.model_copy(update={"cors_origins": [origin]})
    client = limited(extended(shop), database, address=[Rate(1, 60)]).at(HERE)
    answers = [await client.get(f"{API}/things", headers={"Origin": origin}) for _ in range(2)]

    assert [each.status_code for each in answers] == [200, 429]
    for each in answers:
        exposed = each.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= {*exposed}


def test_the_document_says_which_operations_are_limited(app: FastAPI) -> None:
    paths = app.openapi()["paths"]

    assert "429" in paths[f"{API}/auth/login"]["post"]["responses"]
    assert "429" in paths[ME]["get"]["responses"]
    assert "429" not in paths["/health/live"]["get"]["responses"]


def test_an_address_of_ipv6_stands_for_its_network() -> None:
    assert network("2001:db8:1:2:3:4:5:6") == network("2001:db8:1:2::9") == "2001:0db8:0001:0002::"
    assert network("2001:db8:1:3::9") != network("2001:db8:1:2::9")
    assert network("::ffff:203.0.113.9") == network("203.0.113.9") == "203.0.113.9"
    assert network(None) == network("") == network("not an address") == "unknown"


async def test_what_is_refused_costs_no_reading_of_its_body(
    app: FastAPI, database: Database, member: Account
) -> None:
    service = limited(app, database, address=[Rate(5, 60)], user=[Rate(5, 60)])
    stranger, user = service.at(HERE), service.at(THERE, member.tokens["access_token"])
    requests = [
        (stranger, "POST", f"{API}/auth/register"),
        (stranger, "POST", f"{API}/users"),
        (user, "PATCH", ME),
    ]

    async def broken() -> list[int]:
        kind = {"Content-Type": "application/json"}
        return [
            (await client.request(method, path, content=b"{", headers=kind)).status_code
            for client, method, path in requests
        ]

    first, again = await broken(), await broken()

    assert first == [422, 429, 422]
    assert again == [429] * 3


async def test_what_finds_no_endpoint_counts_too(app: FastAPI, database: Database) -> None:
    client = limited(app, database, address=[Rate(12, 60)]).at(HERE)
    asked = [
        ("GET", "/nothing"),
        ("POST", f"{API}/nothing"),
        ("PUT", "/health/live"),
        ("GET", f"{API}/openapi.json"),
        ("GET", "/docs"),
    ]
    answers = [await client.request(method, path) for method, path in asked]

    assert [each.status_code for each in answers] == [404, 404, 405, 200, 429]
    assert [each.headers["RateLimit"].split(";")[1] for each in answers[:4]] == [
        "r=11",
        "r=6",
        "r=1",
        "r=0",
    ]
