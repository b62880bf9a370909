"""Products in GraphQL: the same list as in REST, and what it costs."""

from random import Random

import pytest
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.graphql.tests.alike import NOBODY, Operation, assert_alike, node
from app.features.graphql.tests.lists import (
    Listing,
    Wish,
    compare,
    exchange_cursors,
    graphql,
    wishes,
)
from app.features.graphql.tests.steps import ask, node_id_of, refused, statements
from conftest import Account, SignIn

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


ONE, PRODUCT = f"/products/{NOBODY}", {"id": node("Product")}
NEW = {"sku": "TEA-250", "name": "Green tea", "price": 4_000_000_000}
CREATE = (
    "mutation ($input: NewProduct!) { createProduct(input: $input) { id uuid price currency } }"
)
OPERATIONS = [
    Operation("products:read", "GET", "/products", "{ products(first: 1) { nodes { sku } } }"),
    Operation(
        "products:read", "GET", ONE, "query ($id: ID!) { product(id: $id) { sku } }", PRODUCT
    ),
    Operation(
        "products:write",
        "PATCH",
        ONE,
        "mutation ($id: ID!) { updateProduct(id: $id, input: {price: 1}) { sku } }",
        PRODUCT,
        {"price": 1},
    ),
    Operation(
        "products:write", "DELETE", ONE, "mutation ($id: ID!) { deleteProduct(id: $id) }", PRODUCT
    ),
    Operation(
        "products:write",
        "POST",
        "/price-changes",
        'mutation { changePrices(input: {currency: "EUR", percent: 5}) }',
        body={"currency": "EUR", "percent": 5},
    ),
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
async def test_a_permission_means_the_same(
    operation: Operation, session: AsyncSession, sign_in: SignIn, client: AsyncClient
) -> None:
    await assert_alike(operation, session, sign_in, client)


async def test_a_product_is_made_changed_and_deleted_as_in_rest(admin: Account) -> None:
    made = (await ask(admin.client, CREATE, input=NEW))["createProduct"]
    update = """mutation ($id: ID!, $input: ProductChange!) {
      updateProduct(id: $id, input: $input) { name price description }
    }"""
    in_rest = f"{URL}/{made['uuid']}"

    assert (made["price"], made["currency"]) == (4_000_000_000, "EUR")
    assert (await admin.client.get(in_rest)).json()["price"] == 4_000_000_000
    assert await refused(admin.client, CREATE, input=NEW) == ["sku-taken"]
    changed = await ask(admin.client, update, id=made["id"], input={"name": "Black tea"})
    assert changed["updateProduct"] == {
        "name": "Black tea",
        "price": 4_000_000_000,
        "description": "",
    }
    assert await refused(admin.client, update, id=made["id"], input={"name": None}) == [
        "validation-error"
    ]
    deleted = await ask(
        admin.client, "mutation ($id: ID!) { deleteProduct(id: $id) }", id=made["id"]
    )
    assert deleted == {"deleteProduct": made["id"]}
    assert (await admin.client.get(in_rest)).status_code == 404
    gone = "{ products(first: 9, filter: {deleted: true}) { nodes { sku } totalCount } }"
    found = (await ask(admin.client, gone))["products"]
    assert found == {"nodes": [{"sku": "TEA-250"}], "totalCount": 1}
    assert (await ask(admin.client, "{ products(first: 9) { totalCount } }"))["products"] == {
        "totalCount": 0
    }
    restore = "mutation ($id: ID!) { restoreProduct(id: $id) { sku deletedAt } }"
    restored = await ask(admin.client, restore, id=made["id"])
    assert restored == {"restoreProduct": {"sku": "TEA-250", "deletedAt": None}}
    both = """mutation ($new: [NewProduct!]!) {
      createProducts(input: {items: $new}) { sku }
    }"""
    more = [NEW | {"sku": sku} for sku in ("CUP", "POT")]
    assert await ask(admin.client, both, new=more) == {
        "createProducts": [{"sku": "CUP"}, {"sku": "POT"}]
    }
    assert await refused(admin.client, both, new=more) == ["sku-taken"]
    actions = (await admin.client.get("/api/v1/audit-events?object_type=product")).json()["items"]
    assert [each["action"] for each in actions] == [
        "product.created",
        "product.created",
        "product.restored",
        "product.deleted",
        "product.changed",
        "product.created",
    ]
    assert {each["actor_id"] for each in actions} == {str(admin.id)}
