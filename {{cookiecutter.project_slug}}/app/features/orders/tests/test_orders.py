"""Orders over HTTP: what is ordered, what it costs, and whose it is."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import utc_now
from app.core.db.session import Database
from app.core.jobs.work import Work
from app.features.orders.jobs import expire_unpaid
from app.features.orders.models import Order
from app.features.orders.tests.steps import (
    ORDERS,
    PRODUCTS,
    act,
    for_each_customer,
    kind,
    left,
    place,
    stocked,
)
from conftest import Account, SignIn
from tests.inline import serving

UNKNOWN = {"id": "01890000-0000-7000-8000-000000000000"}


async def test_an_order_has_the_products_as_they_were_when_it_was_placed(
    admin: Account, member: Account
) -> None:
    tea, cup = await stocked(admin, 5), await stocked(admin, 5, name="Cup", price=990)
    placed = await place(member.client, (cup, 1), (tea, 3))
    change = {"price": 1, "name": "Black tea"}
    await admin.client.patch(f"{PRODUCTS}/{tea['id']}", json=change)

    found = (await member.client.get(placed.headers["Location"])).json()

    assert placed.status_code == 201
    assert placed.json() == found
    assert (found["state"], found["currency"], found["total"]) == ("pending", "EUR", 4740)
    assert [(each["name"], each["price"], each["quantity"]) for each in found["lines"]] == [
        ("Cup", 990, 1),
        ("Green tea", 1250, 3),
    ]
    assert found["buyer_id"] == str(member.id)
    assert found["actions"] == ["pay", "cancel"]
    assert [await left(admin, each) for each in (tea, cup)] == [2, 4]


async def test_an_order_takes_all_or_nothing(admin: Account, member: Account) -> None:
    tea, cup = await stocked(admin, 5), await stocked(admin, 1)

    short = await place(member.client, (tea, 3), (cup, 2))
    unknown = await place(member.client, (tea, 3), (UNKNOWN, 1))

    assert kind(short) == (409, "out-of-stock")
    assert (short.json()["sku"], short.json()["available"]) == (cup["sku"], 1)
    assert kind(unknown) == (422, "unknown-product")
    assert UNKNOWN["id"] in unknown.json()["detail"]
    assert [await left(admin, each) for each in (tea, cup)] == [5, 1]
    assert (await member.client.get(ORDERS)).json()["items"] == []


async def test_an_order_is_paid_in_one_currency(admin: Account, member: Account) -> None:
    tea, cup = await stocked(admin, 5), await stocked(admin, 5, currency="USD")

    answer = await place(member.client, (tea, 1), (cup, 1))

    assert kind(answer) == (422, "several-currencies")
    assert await left(admin, tea) == 5


async def test_what_is_no_order_is_refused(admin: Account, member: Account) -> None:
    tea = await stocked(admin, 5)

    answers = [
        await place(member.client),
        await place(member.client, (tea, 0)),
        await place(member.client, (tea, -1)),
        await place(member.client, (tea, 10_001)),
        await place(member.client, (tea, 1), (tea, 1)),
        await place(member.client, *[(tea, 1)] * 101),
    ]

    assert [answer.status_code for answer in answers] == [422] * 6
    assert await left(admin, tea) == 5


async def test_a_total_is_one_that_every_client_can_read(admin: Account, member: Account) -> None:
    gold = await stocked(admin, 9999, price=10**12)

    highest = await place(member.client, (gold, 1000))
    too_high = await place(member.client, (gold, 1001))

    assert highest.json()["total"] == 10**15
    assert kind(too_high) == (422, "total-too-high")
    assert await left(admin, gold) == 8999


async def test_the_document_says_that_a_key_is_required(client: AsyncClient) -> None:
    document = (await client.get("/api/v1/openapi.json")).json()
    parameters = document["paths"][ORDERS]["post"]["parameters"]

    (key,) = [each for each in parameters if each["name"] == "Idempotency-Key"]
    assert key["required"]
    assert "x-required" not in key["schema"]


async def test_an_order_needs_an_idempotency_key(admin: Account, member: Account) -> None:
    tea = await stocked(admin, 5)
    wanted = {"lines": [{"product_id": tea["id"], "quantity": 1}]}

    answer = await member.client.post(ORDERS, json=wanted)

    assert kind(answer) == (400, "invalid-key")
    assert await left(admin, tea) == 5


async def test_a_repeated_order_takes_nothing_more(admin: Account, member: Account) -> None:
    tea = await stocked(admin, 5)

    answers = [await place(member.client, (tea, 2), key="a-key") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [201] * 3
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await left(admin, tea) == 3


@pytest.mark.parametrize(
    "actions",
    ["pay ship deliver refund", "pay ship refund", "pay refund", "cancel"],
)
async def test_an_order_goes_its_way(admin: Account, member: Account, actions: str) -> None:
    tea = await stocked(admin, 5)
    order = (await place(member.client, (tea, 2))).json()

    states = [
        (await act(admin.client, order, action)).json()["state"] for action in actions.split()
    ]

    ends = {"pay": "paid", "ship": "shipped", "deliver": "delivered"}
    ends |= {"refund": "refunded", "cancel": "cancelled"}
    assert states == [ends[action] for action in actions.split()]
    assert await left(admin, tea) == (3 if "ship" in actions else 5)
    events = await admin.client.get("/api/v1/audit-events", params={"object_type": "order"})
    done = [each["action"] for each in reversed(events.json()["items"])]
    assert done == ["order.placed", *(f"order.{action}" for action in actions.split())]


async def test_what_is_not_possible_in_a_state_changes_nothing(
    admin: Account, member: Account
) -> None:
    tea = await stocked(admin, 5)
    order = (await place(member.client, (tea, 2))).json()

    for action in ("ship", "deliver", "refund"):
        answer = await act(admin.client, order, action)
        assert kind(answer) == (409, "wrong-state")
        assert answer.json()["state"] == "pending"

    await act(admin.client, order, "pay")
    assert kind(await act(member.client, order, "cancel")) == (409, "wrong-state")
    assert await left(admin, tea) == 3


async def test_orders_belong_to_their_buyers(
    admin: Account, member: Account, sign_in: SignIn
) -> None:
    other = await sign_in("other@example.com", "member")
    tea = await stocked(admin, 9)
    mine = (await place(member.client, (tea, 1))).json()
    theirs = (await place(other.client, (tea, 1))).json()

    async def listed(account: Account) -> list[str]:
        items = (await account.client.get(ORDERS, params={"with_total": True})).json()
        assert items["total"] == len(items["items"])
        return [each["id"] for each in items["items"]]

    assert await listed(member) == [mine["id"]]
    assert await listed(other) == [theirs["id"]]
    assert await listed(admin) == [theirs["id"], mine["id"]]
    assert (await member.client.get(f"{ORDERS}/{theirs['id']}")).status_code == 404
    assert (await admin.client.get(f"{ORDERS}/{theirs['id']}")).json() == theirs
    assert kind(await act(member.client, theirs, "cancel")) == (404, "order-not-found")
    assert (await act(other.client, theirs, "cancel")).status_code == 200
    assert (await act(admin.client, mine, "cancel")).status_code == 200


async def test_who_only_orders_cannot_advance_orders(
    admin: Account, member: Account, client: AsyncClient
) -> None:
    order = (await place(member.client, (await stocked(admin, 5), 1))).json()

    for action in ("pay", "ship", "deliver", "refund"):
        assert kind(await act(member.client, order, action)) == (403, "not-allowed")
        assert (await act(client, order, action)).status_code == 401
    assert (await client.get(ORDERS)).status_code == 401


async def test_what_is_not_paid_in_time_goes_back_to_the_stock(
    admin: Account, member: Account, database: Database
) -> None:
    tea, cup = await stocked(admin, 9), await stocked(admin, 9)
    late = (await place(member.client, (tea, 2), (cup, 1))).json()
    later = (await place(member.client, (tea, 3))).json()
    paid = (await place(member.client, (tea, 1))).json()
    new = (await place(member.client, (cup, 1))).json()
    await act(admin.client, paid, "pay")

    async def age(session: AsyncSession) -> None:
        ids = [UUID(order["id"]) for order in (late, later, paid)]
        for order in await session.scalars(select(Order).where(Order.id.in_(ids))):
            order.pay_until = utc_now() - timedelta(seconds=1)

    async def expire(session: AsyncSession) -> None:
        await expire_unpaid.function(Work(session, serving(database), 1, uuid4()))

    await for_each_customer(database, age)
    too_late = await act(admin.client, late, "pay")
    unpaid = (await member.client.get(f"{ORDERS}/{late['id']}")).json()
    for _ in range(2):
        await for_each_customer(database, expire)

    assert kind(too_late) == (409, "payment-too-late")
    assert unpaid["actions"] == ["cancel"]
    states = [
        (await admin.client.get(f"{ORDERS}/{each['id']}")).json()["state"]
        for each in (late, later, paid, new)
    ]
    assert states == ["cancelled", "cancelled", "paid", "pending"]
    assert [await left(admin, each) for each in (tea, cup)] == [8, 8]


async def test_orders_are_listed_by_their_states(admin: Account, member: Account) -> None:
    tea = await stocked(admin, 9)
    placed, paid, cancelled = [(await place(member.client, (tea, 1))).json() for _ in range(3)]
    await act(admin.client, paid, "pay")
    await act(member.client, cancelled, "cancel")

    async def listed(*states: str) -> list[str]:
        answer = await member.client.get(ORDERS, params={"state": [*states], "sort": "created_at"})
        return [each["id"] for each in answer.json()["items"]]

    assert await listed() == await listed("cancelled", "paid", "pending")
    assert await listed("paid", "pending") == [placed["id"], paid["id"]]
    assert await listed("refunded", "cancelled", "shipped") == [cancelled["id"]]
    assert await listed("paid") == await listed("paid", "paid") == [paid["id"]]
    first = await member.client.get(f"{ORDERS}?state=paid&state=pending&limit=1")
    place_after = first.json()["next_cursor"]
    for states, status in (("pending,paid", 200), ("paid", 422), ("paid,cancelled", 422)):
        query = {"state": states.split(","), "cursor": place_after}
        assert (await member.client.get(ORDERS, params=query)).status_code == status


async def test_pieces_of_a_deleted_product_are_there_once_it_is_restored(
    admin: Account, member: Account
) -> None:
    tea, cup = await stocked(admin, 5), await stocked(admin, 5)
    order = (await place(member.client, (tea, 1), (cup, 1))).json()
    await admin.client.delete(f"{PRODUCTS}/{tea['id']}")

    unknown = await place(member.client, (tea, 1))
    cancelled = await act(member.client, order, "cancel")
    await admin.client.post(f"{PRODUCTS}/{tea['id']}/restore")

    assert kind(unknown) == (422, "unknown-product")
    assert cancelled.status_code == 200
    assert [each["sku"] for each in cancelled.json()["lines"]] == [tea["sku"], cup["sku"]]
    assert [await left(admin, each) for each in (tea, cup)] == [5, 5]


@pytest.mark.parametrize(("path", "most"), [("", 2), ("/{id}", 3)])
async def test_reads_take_few_statements(
    committed_admin: Account, executed: list[str], path: str, most: int
) -> None:
    tea = await stocked(committed_admin, 100)
    orders = [(await place(committed_admin.client, (tea, 1))).json() for _ in range(3)]
    executed.clear()

    answer = await committed_admin.client.get(ORDERS + path.replace("{id}", orders[0]["id"]))

    assert answer.status_code == 200
    assert sum(each.startswith("SELECT") for each in executed) == most
