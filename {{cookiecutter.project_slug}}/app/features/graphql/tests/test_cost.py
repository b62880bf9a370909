"""What a query costs, and the numbers that it can give."""

import json

import pytest
from graphql import build_schema, get_operation_ast, parse
from httpx2 import AsyncClient, Response

from app.features.graphql.limits import cost
from app.features.graphql.schemas import big_int
from app.features.graphql.settings import GraphQLSettings
from app.features.graphql.tests.attacks import many
from app.features.graphql.tests.steps import URL, refused
from conftest import Account
from tests.inline import configured

HUGE = "1" + "0" * 4_000
PAGES = "query ($n: Int) { users(first: $n) { nodes { id } } roles(first: $n) { nodes { id } } }"


async def sent(client: AsyncClient, query: str, variables: str) -> Response:
    """The response to variables that are any JSON."""
    body = '{"query": ' + json.dumps(query) + ', "variables": ' + variables + "}"
    return await client.post(URL, content=body, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize(
    "number",
    ["1e400", "-1e400", "NaN", "Infinity", "1.5", "true", '"5"', "[5]", "{}", str(2**31), HUGE],
)
async def test_what_is_not_an_int_is_refused(client: AsyncClient, number: str) -> None:
    answer = await sent(client, PAGES, '{"n": ' + number + "}")

    [error, *_] = answer.json()["errors"]
    assert answer.status_code == 400
    assert error["extensions"]["type"] == "urn:problem-type:invalid-query"
    assert number not in error["message"]


async def test_numbers_that_no_integer_type_holds_are_refused(client: AsyncClient) -> None:
    digits = "1" + "0" * 5_000
    assert (await sent(client, PAGES, '{"n": ' + digits + "}")).status_code == 400
    assert await refused(client, "{ users(first: " + digits + ") { totalCount } }") == [
        "invalid-query"
    ]


@pytest.mark.parametrize("number", ["0", "-1", "101", "null"])
async def test_a_page_has_a_size(admin: Account, number: str) -> None:
    answer = await sent(admin.client, PAGES, '{"n": ' + number + "}")

    errors = [each["extensions"]["type"] for each in answer.json()["errors"]]
    assert errors == ["urn:problem-type:invalid-page"] * 2


@pytest.mark.parametrize(
    ("query", "variables", "reads"),
    [
        ("{ __typename }", "{}", 1),
        ("{ users(first: 100) { nodes { id email fullName } } }", "{}", 1),
        ("{ users(last: 100) { nodes { id } } roles(first: 1) { nodes { id } } }", "{}", 2),
        (PAGES, '{"n": 100}', 2),
        (PAGES, '{"n": 100.0}', 2),
        (PAGES.replace("Int", "Int = 100"), "{}", 2),
        (PAGES.replace("Int", "Int = 100"), '{"n": 10}', 1),
        ("{ ...F } fragment F on Query { users(first: 100) { nodes { id } } }", "{}", 1),
        ("{ users(first: 100) { edges { node { " + many("aN: roles { id name }", 9), "{}", 2),
        ("mutation { logout }", "{}", 5),
        ("mutation { logout logoutAll }", "{}", 10),
        ("mutation { ...F } fragment F on Mutation { logout a: logout b: logout }", "{}", 15),
    ],
)
async def test_the_cost_is_known_before(
    client: AsyncClient, query: str, variables: str, reads: int
) -> None:
    closed = query + " }" * (query.count("{") - query.count("}"))
    answer = (await sent(client, closed, variables)).json()

    assert answer["extensions"]["cost"] == reads


NESTED = build_schema("""
  type Query { shelves(first: Int, last: Int): Shelves }
  type Shelves { nodes: [Shelf!]! edges: [Place!]! }
  type Place { node: Shelf! }
  type Shelf { name: String books(first: Int): Books }
  type Books { nodes: [Book!]! totalCount: Int }
  type Book { title: String }
""")
BOOKS = "name books(first: $n) { nodes { title } totalCount }"


@pytest.mark.parametrize(
    ("query", "reads"),
    [
        ("{ shelves(first: 10) { nodes { name } } }", 1),
        ("query ($n: Int) { shelves(first: 10) { nodes { " + BOOKS + " } } }", 3),
        ("query ($n: Int) { shelves(last: 20) { edges { node { " + BOOKS + " } } } }", 5),
        (
            "query ($n: Int) { shelves(first: $n) { nodes { ...F } } } fragment F on Shelf { "
            + BOOKS
            + " }",
            5,
        ),
        (
            "query ($n: Int) { shelves(first: 10) { nodes { name } edges { node { "
            + BOOKS
            + " } } } }",
            3,
        ),
    ],
)
def test_the_nodes_of_nested_lists_are_multiplied(query: str, reads: int) -> None:
    document = parse(query)
    operation = get_operation_ast(document)
    assert operation

    assert cost(NESTED, document, operation, {"n": 20}, configured(GraphQLSettings)) == reads


@pytest.mark.parametrize("value", [0, -5, 2**63 - 1, 1 - 2**63, 5.0])
def test_a_big_integer_is_taken_as_it_is(value: float) -> None:
    assert big_int(value) == value


@pytest.mark.parametrize("value", [2**63, -(2**64), 1.5, float("inf"), float("nan"), True, "5", []])
def test_nothing_else_is_a_big_integer(value: object) -> None:
    with pytest.raises(Exception, match="BigInt can only represent"):
        big_int(value)
