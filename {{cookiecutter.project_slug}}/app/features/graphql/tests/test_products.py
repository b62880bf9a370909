"""Products in GraphQL: the same list as in REST, and what it costs."""

from random import Random

import pytest

from app.features.graphql.tests.lists import (
    Listing,
    Wish,
    compare,
    exchange_cursors,
    graphql,
    wishes,
)
from app.features.graphql.tests.steps import ask, node_id_of, refused, statements
from conftest import Account

URL = "/api/v1/products"
PRODUCTS = Listing(
    "/products",
    "products",
    ["created_at", "name", "price", "sku", "id"],
    {
        "name": ["tea", "TEA", "e", "%", "coffee"],
        "currency": ["EUR", "USD", "GBP"],
        "min_price": [0, 200, 10**12],
        "max_price": [0, 200, 10**12],
    },
    "ProductFilter",
)


@pytest.fixture
async def reader(admin: Account) -> Account:
    """A dozen products with few different names and prices, and an account that reads them."""
    random = Random(2)  # noqa: S311, data
    for number in range(12):
        new = {
            "sku": f"SKU-{random.randrange(1000)}-{number}",
            "name": random.choice(["Green tea", "Black tea", "Milk"]),
            "price": random.choice([100, 200, 300]),
            "currency": random.choice(["EUR", "USD"]),
        }
        assert (await admin.client.post(URL, json=new)).status_code == 201
    return admin


async def test_the_list_is_the_same_in_both_interfaces_however_it_is_read(reader: Account) -> None:
    wanted = wishes(PRODUCTS, 40)
    found = [await compare(reader.client, PRODUCTS, wish) for wish in wanted]

    assert sum(length > wish.size for length, wish in zip(found, wanted, strict=True)) >= 5


async def test_a_cursor_of_one_interface_continues_the_list_of_the_other(reader: Account) -> None:
    for column in PRODUCTS.columns:
        for sign in ("", "-"):
            await exchange_cursors(reader.client, PRODUCTS, Wish(sign + column, {}, 5))


async def test_a_cursor_of_another_filter_or_order_is_refused(reader: Account) -> None:
    cheap = Wish("price", {"max_price": 200}, 2)
    cursor = (await graphql(reader.client, PRODUCTS, cheap, first=2))["pageInfo"]["endCursor"]

    await graphql(reader.client, PRODUCTS, cheap, first=2, after=cursor)
    for other in (
        Wish("price", {"max_price": 201}, 2),
        Wish("price", {"min_price": 200}, 2),
        Wish("price", {}, 2),
        Wish("-price", {"max_price": 200}, 2),
        Wish("price,name", {"max_price": 200}, 2),
    ):
        variables = {**other.variables, "first": 2, "after": cursor}
        assert await refused(reader.client, PRODUCTS.query, **variables) == ["invalid-cursor"]


@pytest.mark.parametrize("arguments", [{}, {"first": 1, "last": 1}, {"first": 101}], ids=str)
async def test_contradictory_or_missing_arguments_are_refused(
    admin: Account, arguments: dict[str, int]
) -> None:
    assert await refused(admin.client, PRODUCTS.query, **arguments) == ["invalid-page"]


@pytest.mark.parametrize(("selected", "counted"), [("nodes { sku }", 0), ("totalCount", 1)])
async def test_the_total_is_counted_only_where_it_is_selected(
    committed_admin: Account, executed: list[str], selected: str, counted: int
) -> None:
    await ask(committed_admin.client, "{ products(first: 1) { " + selected + " } }")

    assert sum("count(" in each.lower() for each in executed) == counted


async def test_reads_cost_what_they_cost_in_rest(
    committed_admin: Account, executed: list[str]
) -> None:
    client = committed_admin.client
    new = {"sku": "TEA", "name": "Green tea", "price": 100}
    made = (await client.post(URL, json=new)).json()["id"]
    node_id = node_id_of("Product", made)

    async def cost(path: str, query: str) -> tuple[int, int]:
        executed.clear()
        assert (await client.get(f"{URL}{path}")).status_code == 200
        in_rest = statements(executed)
        executed.clear()
        await ask(client, query)
        return in_rest, statements(executed)

    total = "{ products(first: 20) { nodes { sku } totalCount } }"
    assert await cost("", "{ products(first: 20) { nodes { sku } } }") == (2, 2)
    assert await cost("?with_total=true", total) == (3, 3)
    assert await cost(f"/{made}", '{ product(id: "' + node_id + '") { sku } }') == (2, 2)
    assert await cost(f"/{made}", '{ node(id: "' + node_id + '") { id } }') == (2, 2)
