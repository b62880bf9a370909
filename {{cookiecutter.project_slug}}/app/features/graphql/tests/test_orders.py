"""Orders in GraphQL: the same rules as in REST."""

from typing import Any

from app.features.graphql.tests.steps import ask, refused, statements
from app.features.orders.tests.steps import ORDERS, left, place, stocked
from conftest import Account, SignIn

PLACE = """mutation ($lines: [NewOrderLine!]!, $key: String!) {
  placeOrder(input: {lines: $lines}, idempotencyKey: $key) {
    id uuid state total buyerId lines { sku price quantity }
  }
}"""
LIST = "{ orders(first: 10) { nodes { uuid state total lines { sku quantity } } totalCount } }"


def act(action: str) -> str:
    """The mutation for an action."""
    return "mutation ($id: ID!) { [action]Order(id: $id) { state } }".replace("[action]", action)


async def test_an_order_is_placed_once_and_goes_its_way(admin: Account, member: Account) -> None:
    tea = await stocked(admin, 9)
    wanted: dict[str, Any] = {
        "lines": [{"productId": tea["id"], "quantity": 2}],
        "key": "a-key",
    }

    first = (await ask(member.client, PLACE, **wanted))["placeOrder"]
    again = (await ask(member.client, PLACE, **wanted))["placeOrder"]

    assert first == again
    assert (first["state"], first["total"], first["buyerId"]) == ("PENDING", 2500, str(member.id))
    assert first["lines"] == [{"sku": tea["sku"], "price": 1250, "quantity": 2}]
    assert await left(admin, tea) == 7
    other = wanted | {"lines": [{"productId": tea["id"], "quantity": 1}]}
    assert await refused(member.client, PLACE, **other) == ["idempotency-key-reused"]
    assert await refused(member.client, PLACE, **wanted | {"key": ""}) == ["invalid-key"]
    assert await refused(member.client, act("pay"), id=first["id"]) == ["not-allowed"]
    paid = await ask(admin.client, act("pay"), id=first["id"])
    assert paid == {"payOrder": {"state": "PAID"}}
    assert await refused(member.client, act("cancel"), id=first["id"]) == ["wrong-state"]
    in_rest = (await member.client.get(f"{ORDERS}/{first['uuid']}")).json()
    assert (in_rest["state"], in_rest["total"]) == ("paid", 2500)


async def test_a_failed_order_takes_nothing_and_may_be_repeated(
    admin: Account, member: Account
) -> None:
    tea = await stocked(admin, 1)
    wanted: dict[str, Any] = {"lines": [{"productId": tea["id"], "quantity": 2}], "key": "a-key"}

    assert await refused(member.client, PLACE, **wanted) == ["out-of-stock"]
    await admin.client.patch(f"/api/v1/products/{tea['id']}", json={"stock": 2})
    placed = await ask(member.client, PLACE, **wanted)

    assert placed["placeOrder"]["total"] == 2500
    assert await left(admin, tea) == 0


async def test_orders_belong_to_their_buyers(
    admin: Account, member: Account, sign_in: SignIn
) -> None:
    other = await sign_in("other@example.com", "member")
    tea = await stocked(admin, 9)
    await place(member.client, (tea, 1))
    theirs = (await place(other.client, (tea, 1))).json()
    node = (await ask(admin.client, "{ orders(first: 1) { nodes { id uuid } } }"))["orders"]
    one = "query ($id: ID!) { order(id: $id) { uuid } node(id: $id) { id } }"
    of_theirs = node["nodes"][0]

    assert of_theirs["uuid"] == theirs["id"]
    assert (await ask(member.client, LIST))["orders"]["totalCount"] == 1
    assert (await ask(other.client, LIST))["orders"]["totalCount"] == 1
    assert (await ask(admin.client, LIST))["orders"]["totalCount"] == 2
    assert (await ask(other.client, one, id=of_theirs["id"]))["order"]["uuid"] == theirs["id"]
    assert await refused(member.client, one, id=of_theirs["id"]) == ["order-not-found"] * 2
    assert await refused(member.client, act("cancel"), id=of_theirs["id"]) == ["order-not-found"]


async def test_lines_are_read_for_all_orders_at_once(
    committed_admin: Account, executed: list[str]
) -> None:
    tea = await stocked(committed_admin, 99)

    async def cost() -> int:
        executed.clear()
        await ask(committed_admin.client, LIST)
        return statements(executed)

    await place(committed_admin.client, (tea, 1))
    with_one = await cost()
    for _ in range(4):
        await place(committed_admin.client, (tea, 1))

    assert await cost() == with_one
