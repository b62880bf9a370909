"""Orders that are placed, paid and cancelled at once."""

from asyncio import gather
from collections import Counter

from app.features.orders.tests.steps import ORDERS, act, kind, left, place, stocked
from conftest import Account


async def test_fifty_buyers_of_twenty_pieces_buy_twenty(committed_admin: Account) -> None:
    client = committed_admin.client
    tea, cup = await stocked(committed_admin, 20), await stocked(committed_admin, 1000)

    lines = [((tea, 1), (cup, 1)), ((cup, 1), (tea, 1))]  # locks are taken in one order
    answers = await gather(*(place(client, *lines[number % 2]) for number in range(50)))

    assert Counter(answer.status_code for answer in answers) == {201: 20, 409: 30}
    assert {kind(each) for each in answers if each.status_code == 409} == {(409, "out-of-stock")}
    assert [await left(committed_admin, each) for each in (tea, cup)] == [0, 980]


async def test_a_hundred_requests_with_one_key_place_one_order(committed_admin: Account) -> None:
    client = committed_admin.client
    tea = await stocked(committed_admin, 1000)

    answers = await gather(*(place(client, (tea, 1), key="a-key") for _ in range(100)))
    later = await place(client, (tea, 1), key="a-key")

    assert {each.json()["id"] for each in (*answers, later) if each.is_success} == {
        later.json()["id"]
    }
    assert {kind(each) for each in answers if not each.is_success} <= {(409, "request-in-progress")}
    assert await left(committed_admin, tea) == 999


async def test_an_order_is_paid_or_cancelled_but_not_both(committed_admin: Account) -> None:
    client = committed_admin.client
    tea = await stocked(committed_admin, 100)
    for _ in range(5):
        order = (await place(client, (tea, 1))).json()
        answers = await gather(*(act(client, order, each) for each in ("pay", "cancel") * 3))
        assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 5}

    states = Counter(each["state"] for each in (await client.get(ORDERS)).json()["items"])
    assert await left(committed_admin, tea) == 100 - states["paid"]
