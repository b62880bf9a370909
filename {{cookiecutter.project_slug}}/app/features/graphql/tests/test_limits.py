"""What hostile queries may cost."""

import asyncio
from collections.abc import Generator
from dataclasses import replace

import pytest
from fastapi import FastAPI
from graphql import (
    FragmentDefinitionNode,
    OperationDefinitionNode,
    parse,
)
from httpx2 import AsyncClient

from app.core.db.session import Database
from app.core.db.slots import Slots
from app.features.graphql import service
from app.features.graphql.failures import QueryTooLarge
from app.features.graphql.limits import MOST_REPEATED, Measure
from app.features.graphql.schema import core
from app.features.graphql.settings import GraphQLSettings
from app.features.graphql.tests.attacks import TOO_LARGE, braced, many
from app.features.graphql.tests.steps import URL, post, refused
from app.features.graphql.types import users
from conftest import Account, client_over
from tests.inline import configured, serving

FRAGMENT = "fragment F on User "


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Generator[GraphQLSettings]:
    """The limits, which a test may change."""
    found = configured(GraphQLSettings)
    for name in GraphQLSettings.model_fields:
        monkeypatch.setattr(found, name, getattr(found, name))
    service.remembered.cache_clear()
    yield found
    service.remembered.cache_clear()


@pytest.mark.parametrize(
    ("what", "found", "query"),
    [
        ("characters", 14, "{ __typename }"),
        ("tokens", 3, "{ __typename }"),
        ("tokens", 4, "# a comment\n{ __typename }"),
        ("depth", 3, "{ me { roles { name } } }"),
        ("depth", 3, "{ ... { me { ...F } } } " + FRAGMENT + "{ roles { name } }"),
        ("fields", 3, "{ me { id id } }"),
        ("fields", 7, "{ me { ...F ...F } } " + FRAGMENT + "{ id email }"),
        ("aliases", 2, "{ a: me { b: id } }"),
        ("aliases", 2, "{ me { ...F ...F } } " + FRAGMENT + "{ a: id }"),
        ("directives", 2, "{ me @include(if: true) { id @skip(if: false) } }"),
        ("nodes", 3, "{ users(first: 3) { nodes { id } } }"),
        ("nodes", 3, "query ($n: Int = 3) { users(last: $n) { nodes { id } } }"),
        ("nodes", 7, "{ users(first: 3) { totalCount } roles(first: 4) { totalCount } }"),
    ],
)
async def test_each_limit_is_exact(
    client: AsyncClient, limits: GraphQLSettings, what: str, found: int, query: str
) -> None:
    setattr(limits, f"max_{what}", found)
    assert (await post(client, query)).status_code == 200

    setattr(limits, f"max_{what}", found - 1)
    service.remembered.cache_clear()
    answer = await post(client, query)
    [error] = answer.json()["errors"]
    assert answer.status_code == 400
    assert error["extensions"]["type"] == "urn:problem-type:query-too-large"
    assert str(found - 1) in error["message"]


async def test_every_value_in_the_variables_counts(
    client: AsyncClient, limits: GraphQLSettings
) -> None:
    unused = [1, [2, 3], {"four": None}]
    limits.max_values = 8
    assert (await post(client, "{ __typename }", a=unused, b="five")).status_code == 200

    limits.max_values = 7
    assert await refused(client, "{ __typename }", a=unused, b="five") == ["query-too-large"]


async def test_a_field_can_be_repeated_so_often(client: AsyncClient) -> None:
    most = "{ me { " + many("id", MOST_REPEATED + 1) + " } }"
    merged = "{ me { " + many("id", MOST_REPEATED) + " } me { id id } }"

    assert (await post(client, most)).status_code == 200
    assert await refused(client, merged) == ["query-too-large"]


async def test_every_operation_counts(client: AsyncClient, limits: GraphQLSettings) -> None:
    limits.max_fields = 3
    query = "query A { __typename } query B { me { id id } }"
    answer = await client.post(URL, json={"query": query, "operationName": "A"})

    assert answer.status_code == 400
    assert "limit of 3 fields" in answer.text


@pytest.mark.parametrize("attack", TOO_LARGE)
async def test_what_is_too_large_is_refused_before_it_is_validated(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch, executed: list[str], attack: str
) -> None:
    monkeypatch.setattr(service, "validate", None)

    answer = await post(client, TOO_LARGE[attack])

    [error] = answer.json()["errors"]
    assert answer.status_code == 400
    assert error["extensions"]["type"] == "urn:problem-type:query-too-large"
    assert len(answer.content) < 1_000
    assert not executed


@pytest.mark.parametrize("attack", ["exponential fragments", "fragments and fields"])
def test_counting_stops_at_the_limit(attack: str) -> None:
    definitions = parse(TOO_LARGE[attack]).definitions
    fragments = {d.name.value: d for d in definitions if isinstance(d, FragmentDefinitionNode)}
    counted = Measure(configured(GraphQLSettings), fragments)
    [operation] = [d for d in definitions if isinstance(d, OperationDefinitionNode)]

    with pytest.raises(QueryTooLarge):
        counted.selection([operation.selection_set], 1)
    assert counted.counts["fields"] == counted.limits.max_fields + 1


@pytest.mark.parametrize(
    "query",
    [
        "{ ...F } fragment F on Query { ...F ...F }",
        "{ ...F } fragment F on Query { ...G } fragment G on Query { ...F }",
        "{ me { ...F } } fragment F on User { roles { ...F } }",
        "{ ...F }",
        "subscription { me { id } }",
        "type Query { id: ID }",
        "{ __typename } extend type User { password: String }",
        "{ me { id @defer } }",
        "{ me { id",
        "",
        "\x00",
        '{ user(id: "\\uD800") { id } }',
    ],
)
async def test_what_is_invalid_is_refused(
    client: AsyncClient, query: str, executed: list[str]
) -> None:
    answer = await post(client, query)

    assert answer.status_code == 400
    assert {each["extensions"]["status"] for each in answer.json()["errors"]} == {400}
    assert not executed


async def test_no_more_than_a_few_errors_are_reported(client: AsyncClient) -> None:
    literal = await refused(client, braced(many("wrongN", 100)))
    variables = "query (" + many("$aN: Int!", 100) + ") { me { id } }"

    assert len(literal) == service.MOST_ERRORS + 1
    assert len(await refused(client, variables)) <= service.MOST_ERRORS + 1


GUESS = '(email: "ada@example.com", password: "wrong") { accessToken }'


@pytest.mark.parametrize(
    "guesses",
    [
        braced(many("aN: login" + GUESS, 20)),
        "{ ...F ...G } fragment F on Mutation { login" + GUESS + " } fragment G on Mutation"
        " { b: login" + GUESS + ' refresh(refreshToken: "x") { accessToken } }',
        '{ a: refresh(refreshToken: "x") { accessToken } b: refresh(refreshToken: "y") { tokenType } }',
    ],
    ids=["aliases", "fragments", "refresh tokens"],
)
async def test_one_request_is_one_guess(client: AsyncClient, guesses: str) -> None:
    first, *others = await refused(client, "mutation " + guesses)

    assert first in {"wrong-credentials", "invalid-refresh-token"}
    assert others
    assert set(others) == {"one-attempt"}


async def test_a_batch_is_refused(client: AsyncClient) -> None:
    login = {"query": "mutation { login" + GUESS + " }"}
    answer = await client.post(URL, json=[login, login])

    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:problem-type:invalid-request"


def every_list() -> str:
    """All lists of the schema, whatever rows they are of."""
    query = core.query_type
    assert query
    lists = [name for name, field in query.fields.items() if "first" in field.args]
    return " ".join(f"{name}(first: 1) " + "{ totalCount }" for name in lists)


async def test_a_revoked_session_costs_one_statement(member: Account, executed: list[str]) -> None:
    await member.client.post("/api/v1/auth/logout")
    executed.clear()

    query = "{ " + many("aN: me { email }", 15) + " sessions { id } " + every_list() + " }"
    problems = await refused(member.client, query)

    assert set(problems) == {"invalid-token"}
    assert len(problems) > 15
    assert len([each for each in executed if "auth_sessions" in each]) == 1


async def test_who_presents_nothing_costs_none(client: AsyncClient, executed: list[str]) -> None:
    assert set(await refused(client, braced(every_list()))) == {"not-authenticated"}
    assert not executed


@pytest.mark.parametrize(
    "query",
    [
        "{ users(first: 5) { nodes { roles { name } } } }",
        "{ a: users(first: 5) { nodes { roles { id } } } me { roles { name } } jobs(first: 1) { totalCount } }",
    ],
)
async def test_a_query_is_stopped_in_time_and_frees_its_connection(
    app: FastAPI,
    committed_admin: Account,
    committed_db: Database,
    limits: GraphQLSettings,
    monkeypatch: pytest.MonkeyPatch,
    query: str,
) -> None:
    only_one = replace(committed_db, slots=Slots(1, 5))
    client = client_over(app, serving(only_one))
    client.headers["Authorization"] = committed_admin.client.headers["Authorization"]
    stopped: list[bool] = []

    async def slow(*_: object) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.append(True)

    monkeypatch.setattr(limits, "timeout_seconds", 1)
    with monkeypatch.context() as patch:
        patch.setattr(users, "rows_by", slow)
        answer = await post(client, query)
    limits.timeout_seconds = 10

    [error] = answer.json()["errors"]
    assert (answer.status_code, answer.json()["data"]) == (200, None)
    assert error["extensions"]["type"] == "urn:problem-type:query-too-slow"
    assert error["extensions"]["status"] == 503
    assert "errors" not in (await post(client, query)).json()
    assert stopped == [True]
