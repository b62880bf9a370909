"""All prices in one currency change, once each, in the background."""

from typing import Any

import pytest

from app.core.db.session import Database
from app.core.jobs.runner import run_due
from app.core.settings import Settings
from app.features.products import jobs, repository
from conftest import Account
from tests.inline import make_due, serving

URL, CHANGES, LOG = "/api/v1/products", "/api/v1/price-changes", "/api/v1/audit-events"


async def add(admin: Account, *prices: int, currency: str = "EUR") -> None:
    """Create a product for each price."""
    for number, price in enumerate(prices):
        new = {"sku": f"{currency}-{number}", "name": "Tea", "price": price, "currency": currency}
        assert (await admin.client.post(URL, json=new)).status_code == 201


async def prices(account: Account, currency: str = "EUR") -> list[int]:
    """The current prices of the products."""
    query = {"currency": currency, "sort": "sku"}
    return [item["price"] for item in (await account.client.get(URL, params=query)).json()["items"]]


async def ask(account: Account, percent: int) -> int:
    """Request a change of all prices in EUR; return the status."""
    answer = await account.client.post(CHANGES, json={"currency": "EUR", "percent": percent})
    return answer.status_code


async def logged(admin: Account) -> list[dict[str, Any]]:
    """The audit events of price changes, oldest first."""
    query = {"action": "product.prices_changed", "sort": "created_at"}
    return (await admin.client.get(LOG, params=query)).json()["items"]


@pytest.mark.parametrize(
    ("percent", "expected"),
    [
        (5, [0, 1, 11, 1050, 10**12]),
        (-5, [0, 1, 10, 950, 95 * 10**10]),
        (50, [0, 2, 15, 1500, 10**12]),
        (100, [0, 2, 20, 2000, 10**12]),
        (-99, [0, 0, 0, 10, 10**10]),
        (0, [0, 1, 10, 1000, 10**12]),
    ],
)
async def test_prices_in_the_currency_change_to_the_nearest_unit(
    admin: Account, percent: int, expected: list[int]
) -> None:
    await add(admin, 0, 1, 10, 1000, 10**12)
    await add(admin, 1000, currency="USD")

    assert await ask(admin, percent) == 202

    assert await prices(admin) == expected
    assert await prices(admin, "USD") == [1000]


async def test_many_products_change_batch_by_batch_each_on_record(
    admin: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "BATCH", 2)
    await add(admin, *[100] * 5)

    await ask(admin, 10)

    assert await prices(admin) == [110] * 5
    events = await logged(admin)
    assert [event["after"]["count"] for event in events] == [2, 2, 1]
    assert {event["actor_id"] for event in events} == {str(admin.id)}


def longest(low: float, high: float) -> float:
    """Replaces the random delay, so that nothing is retried at once."""
    return high


async def test_a_batch_that_fails_is_tried_again_and_each_price_changes_once(
    admin: Account, database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And products created in the meantime keep their price."""
    monkeypatch.setattr("app.core.jobs.random.uniform", longest)
    monkeypatch.setattr(repository, "BATCH", 2)
    await add(admin, *[100] * 5)
    change, failures = repository.change_prices, iter([None, RuntimeError("no luck"), None, None])

    async def with_bad_luck(*arguments: Any) -> Any:  # noqa: ANN401
        result = await change(*arguments)
        if failure := next(failures):
            raise failure
        return result

    monkeypatch.setattr(repository, "change_prices", with_bad_luck)
    await ask(admin, 10)
    assert await prices(admin) == [110, 110, 100, 100, 100]

    await admin.client.post(URL, json={"sku": "EUR-LATER", "name": "Tea", "price": 100})
    await make_due(database)
    job = jobs.change_prices
    await run_due(serving(database, settings=settings, jobs={job.name: job}))

    assert await prices(admin) == [*[110] * 5, 100]


async def test_members_change_no_prices(admin: Account, member: Account) -> None:
    await add(admin, 100)

    assert await ask(member, 10) == 403
    assert await prices(admin) == [100]


async def test_a_change_of_prices_that_makes_no_sense_is_refused(admin: Account) -> None:
    good = {"currency": "EUR", "percent": 5}
    for wrong in (
        {"percent": -100},
        {"percent": 101},
        {"percent": 1.5},
        {"currency": "euro"},
        {"until": "2026-01-01T00:00:00Z"},
    ):
        answer = await admin.client.post(CHANGES, json=good | wrong)
        assert answer.status_code == 422, wrong


async def test_a_product_whose_price_changed_meanwhile_has_another_version(admin: Account) -> None:
    await add(admin, 100)
    (product,) = (await admin.client.get(URL)).json()["items"]
    await ask(admin, 10)

    stale = await admin.client.patch(
        f"{URL}/{product['id']}", json={"name": "Coffee"}, headers={"If-Match": '"1"'}
    )

    assert (product["version"], stale.status_code, stale.json()["version"]) == (1, 412, 2)
    assert await prices(admin) == [110]


async def test_a_repeated_change_with_a_key_is_made_once(admin: Account) -> None:
    await add(admin, 1000)
    change = {"currency": "EUR", "percent": 50}

    answers = [
        await admin.client.post(CHANGES, json=change, headers={"Idempotency-Key": "a-key"})
        for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert await prices(admin) == [1500]
