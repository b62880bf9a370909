"""What responses, logs and metrics tell."""

import logging

import pytest
from fastapi import FastAPI
from graphql import get_introspection_query
from httpx2 import AsyncClient
from prometheus_client import generate_latest

from app.core.db.session import Database
from app.core.settings import Environment, Settings
from app.features.graphql import metrics
from app.features.graphql.tests.steps import ask, post, refused
from conftest import Account, client_over
from tests.inline import serving

SECRET = "hunter2"
LOGIN = "mutation ($a: String!) { login(email: $a, password: $a) { accessToken } }"
UPDATE = "mutation ($a: ProfileChange!) { updateMe(input: $a) { id } }"


@pytest.fixture
def deployed(app: FastAPI, database: Database, settings: Settings) -> AsyncClient:
    """A client of the service in production."""
    closed = settings.model_copy(update={"environment": Environment.PRODUCTION})
    return client_over(app, serving(database, settings=closed))


MISSPELLED = [
    "{ mee { id } }",
    "{ me { idd } }",
    "{ users(frst: 1) { totalCount } }",
    "{ me @include(iff: true) { id } }",
    "{ ... on Usr { id } }",
    "query ($a: UserFiltr) { me { id } }",
    "{ users(first: 1, filter: {isActve: true}) { totalCount } }",
    "query ($a: UserFilter) { users(first: 1, filter: $a) { totalCount } }",
]


@pytest.mark.parametrize("query", MISSPELLED)
async def test_names_are_suggested_only_where_the_schema_is_shown(
    client: AsyncClient, deployed: AsyncClient, query: str
) -> None:
    variables = {"a": {"isActve": True}}

    assert "Did you mean" in (await post(client, query, **variables)).text
    hidden = await post(deployed, query, **variables)
    assert hidden.status_code == 400
    assert "Did you mean" not in hidden.text


@pytest.mark.parametrize(
    "query",
    [
        get_introspection_query(input_value_deprecation=True, specified_by_url=True),
        "{ __schema { queryType { name } } }",
        '{ __type(name: "User") { fields { name } } }',
        "{ harmless: __schema { types { name } } }",
        "{ ... { ...F } } fragment F on Query { __schema { types { name } } }",
    ],
)
async def test_the_schema_is_shown_where_the_documentation_is(
    client: AsyncClient, deployed: AsyncClient, query: str
) -> None:
    assert await ask(client, query)
    assert set(await refused(deployed, query)) == {"invalid-query"}


async def test_clients_may_ask_for_the_names_of_types(deployed: AsyncClient) -> None:
    assert await ask(deployed, "{ __typename }") == {"__typename": "Query"}


@pytest.mark.parametrize(
    ("query", "variable"),
    [
        (LOGIN, {SECRET: SECRET}),
        (LOGIN, [SECRET]),
        (UPDATE, SECRET),
        (UPDATE, {"fullName": [SECRET]}),
        (UPDATE, {"fullName": {"a": SECRET}}),
        (UPDATE, {"unknown": SECRET}),
        (UPDATE, {"fullName": SECRET + "\x00"}),
        ("query ($a: Int) { users(first: $a) { totalCount } }", SECRET),
        ("query ($a: Boolean!) { me @include(if: $a) { id } }", SECRET),
        ("query ($a: ID!) { user(id: $a) { id } }", SECRET),
        ("query ($a: ID!) { node(id: $a) { id } }", [SECRET]),
        ("query ($a: Int = " + f'"{SECRET}"' + ") { users(first: $a) { totalCount } }", None),
        (LOGIN.replace("$a)", f'["{SECRET}"])'), "a"),
        (LOGIN.replace("$a)", f"{SECRET})"), "a"),
        (LOGIN.replace("$a)", f'"{SECRET}" "{SECRET}")'), "a"),
        (LOGIN.replace("password: $a)", f'password "{SECRET}")'), "a"),
        (LOGIN.replace("$a)", f'"""{SECRET}""" """{SECRET}""")'), "a"),
        (LOGIN.replace("$a)", f'"{SECRET}'), "a"),
    ],
)
async def test_a_message_does_not_quote_a_value(
    member: Account, caplog: pytest.LogCaptureFixture, query: str, variable: object
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = await post(member.client, query, a=variable)

    assert all(each["extensions"]["status"] < 500 for each in answer.json()["errors"])
    assert SECRET not in answer.text
    assert not [each for each in caplog.records if SECRET in str(each.__dict__)]


async def test_a_message_is_short(client: AsyncClient) -> None:
    answer = await post(client, "{ " + "long" * 2_000 + " }")

    assert answer.status_code == 400
    assert len(answer.text) < 500


async def test_strangers_cannot_fill_the_metrics_with_names(
    client: AsyncClient, member: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "known", set[str]())
    long = "Long" * 100
    for name, caller in [("Strange", client), ("Familiar", member.client), (long, member.client)]:
        await post(caller, f"query {name} " + "{ me { id } }")

    assert metrics.known == {"Familiar"}
    assert long not in generate_latest().decode()
