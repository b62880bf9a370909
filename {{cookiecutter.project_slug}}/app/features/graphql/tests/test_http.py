"""GraphQL over HTTP: methods, media types, statuses, and what other sites can send."""

import json
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from app.core.db.session import Database
from app.core.middleware import CORS, middleware
from app.core.settings import Environment, Settings
from app.features.graphql.tests.steps import URL, ask, post
from conftest import Account, client_over
from tests.inline import serving

TYPENAME = {"query": "{ __typename }"}
BODY = json.dumps(TYPENAME)
JSON, RESPONSE = "application/json", "application/graphql-response+json"
SITE = "https://app.example.com"


@pytest.mark.parametrize(
    "kind", [JSON, "application/json; charset=utf-8", "Application/JSON", "application/json;x=y"]
)
async def test_json_is_accepted(client: AsyncClient, kind: str) -> None:
    answer = await client.post(URL, content=BODY, headers={"Content-Type": kind})

    assert (answer.status_code, answer.json()["data"]) == (200, {"__typename": "Query"})


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "text/plain; application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "application/json, text/plain",
        "",
        None,
    ],
)
async def test_what_a_form_could_send_is_not(client: AsyncClient, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    answer = await client.post(URL, content=BODY, headers=headers)

    assert answer.status_code == 415
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:problem-type:unsupported-media-type"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b'"{ __typename }"',
        b"[]",
        b'[{"query": "{ __typename }"}]',
        b"{}",
        b'{"query": null}',
        b'{"query": ["{ __typename }"]}',
        b'{"query": "{ __typename }", "variables": "{}"}',
        b'{"query": "{ __typename }", "variables": []}',
        b'{"query": "{ __typename }", "operationName": 1}',
        b'{"query": "{ __typename }"} {}',
        b'{"query": "{ __typename }"}\x00',
        b'{"query": "{ __typename \xff }"}',
        b'{"query": "{ __typename }", "operationName": "\\ud800"}',
        b'{"query": "{ __typename }", "variables": {"a": '
        + b"[" * 100_000
        + b"]" * 100_000
        + b"}}",
        b'{"query": "{ __typename }", "variables": {"a": 1' + b"0" * 5_000 + b"}}",
    ],
    ids=lambda body: body[:60],
)
async def test_what_is_no_request_is_explained(client: AsyncClient, body: bytes) -> None:
    answer = await client.post(URL, content=body, headers={"Content-Type": JSON})

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:problem-type:invalid-request"


async def test_the_last_of_several_equal_keys_counts(client: AsyncClient) -> None:
    body = '{"query": "{ wrong }", "query": "{ __typename }", "unknown": 1}'
    answer = await client.post(URL, content=body, headers={"Content-Type": JSON})

    assert answer.json()["data"] == {"__typename": "Query"}


@pytest.mark.parametrize(
    ("accepted", "kind"),
    [
        (None, JSON),
        ("*/*", JSON),
        (JSON, JSON),
        ("text/html", JSON),
        (RESPONSE, RESPONSE),
        (RESPONSE.upper(), RESPONSE),
        (f"{RESPONSE}, {JSON};q=0.9", RESPONSE),
    ],
)
@pytest.mark.parametrize(("query", "status"), [("{ __typename }", 200), ("{ wrong }", 400)])
async def test_the_response_is_of_the_accepted_type(
    client: AsyncClient, accepted: str | None, kind: str, query: str, status: int
) -> None:
    headers = {"Accept": accepted} if accepted else {}
    answer = await client.post(URL, json={"query": query}, headers=headers)

    assert (answer.status_code, answer.headers["content-type"]) == (status, kind)
    assert ("data" in answer.json()) == (status == 200)


@pytest.mark.parametrize(
    "query",
    [
        "{ me { id",
        "{ wrong }",
        "{ me }",
        "{ a } { b }",
        "query A { me { id } } query B { me { id } }",
        "query ($a: Int!) { users(first: $a) { totalCount } }",
        'query ($a: Int = "1") { users(first: $a) { totalCount } }',
        "fragment F on User { id }",
    ],
)
async def test_a_request_that_is_not_executed_is_a_bad_one(client: AsyncClient, query: str) -> None:
    answer = await post(client, query)

    assert answer.status_code == 400
    assert set(answer.json()) == {"errors"}
    for error in answer.json()["errors"]:
        assert error["extensions"]["status"] == 400
        assert error["extensions"]["title"] == "Bad Request"
        assert error["extensions"]["correlation_id"] == answer.headers["x-correlation-id"]


async def test_variables_are_checked_before_execution(member: Account) -> None:
    query = "query ($a: Int) { me { id } users(first: $a) { totalCount } }"
    answer = await post(member.client, query, a="5")

    [error] = answer.json()["errors"]
    assert answer.status_code == 400
    assert error["extensions"]["type"] == "urn:problem-type:invalid-query"
    assert error["locations"] == [{"line": 1, "column": 8}]


async def test_a_request_that_is_executed_is_answered_with_its_errors(client: AsyncClient) -> None:
    answer = await post(client, "{ __typename me { id } }")

    assert answer.status_code == 200
    assert answer.json()["data"] == {"__typename": "Query", "me": None}
    assert answer.json()["extensions"] == {"cost": 1}
    [error] = answer.json()["errors"]
    assert error["extensions"]["status"] == 401


async def test_the_editor_is_off_in_production(
    client: AsyncClient, app: FastAPI, database: Database, settings: Settings
) -> None:
    page = await client.get(URL)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "SUBSCRIPTION" not in page.text

    closed = settings.model_copy(update={"environment": Environment.PRODUCTION})
    async with client_over(app, serving(database, settings=closed)) as deployed:
        answer = await deployed.get(URL)
        assert answer.status_code == 404
        assert answer.json()["type"] == "urn:problem-type:ide-off"
        assert await ask(deployed, "{ __typename }")


async def test_a_link_executes_nothing(member: Account, executed: list[str]) -> None:
    for query in ("{ me { id } }", "mutation { logoutAll }"):
        for accepted, status in [("text/html,*/*;q=0.8", 200), (JSON, 405), (RESPONSE, 405)]:
            headers = {"Accept": accepted}
            answer = await member.client.get(URL, params={"query": query}, headers=headers)
            assert answer.status_code == status
            assert status == 200 or "POST" in answer.headers["allow"]
    assert not executed
    assert await ask(member.client, "{ me { email } }")


async def test_general_methods_are_answered(client: AsyncClient) -> None:
    head = await client.head(URL)
    options = await client.options(URL)

    assert (head.status_code, head.content) == (200, b"")
    assert options.status_code == 204
    assert set(options.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
    for method in ("PUT", "PATCH", "DELETE"):
        answer = await client.request(method, URL, json=TYPENAME)
        assert answer.status_code == 405
        assert answer.headers["allow"] == options.headers["allow"]


async def test_another_site_needs_the_consent_of_cors(
    app: FastAPI, database: Database, settings: Settings
) -> None:
    allowing = settings.model_copy(update={"cors_origins": [SITE]})
    [cors] = [each for each in middleware(allowing, (), ()) if each.cls is CORS]
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    guarded: Any = CORS(app, **cors.kwargs)
    async with client_over(guarded, serving(database)) as client:
        consent = await client.options(URL, headers={"Origin": SITE, **asked})
        refusal = await client.options(URL, headers={"Origin": "https://evil.example", **asked})
        answer = await client.post(URL, json=TYPENAME, headers={"Origin": SITE})

    assert consent.status_code == 200
    assert consent.headers["access-control-allow-origin"] == SITE
    assert refusal.status_code == 400
    assert "access-control-allow-origin" not in refusal.headers
    assert answer.headers["access-control-allow-origin"] == SITE


async def test_a_large_body_is_refused(client: AsyncClient, settings: Settings) -> None:
    body = {"query": "{ __typename }", "variables": {"a": "x" * settings.max_body_size}}
    answer = await client.post(URL, json=body)

    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
