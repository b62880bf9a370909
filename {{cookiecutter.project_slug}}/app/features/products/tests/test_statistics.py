"""Statistics of products: kept for a minute, one query however many ask."""

import asyncio
from typing import Any

from conftest import Account

TEA: dict[str, Any] = {"sku": "TEA-250", "name": "Green tea", "price": 1250, "stock": 4}
URL, IMPORTS = "/api/v1/product-statistics", "/api/v1/product-imports"


async def test_statistics_are_by_currency(admin: Account) -> None:
    items = [TEA, TEA | {"sku": "CUP", "stock": 0}, TEA | {"sku": "POT", "currency": "CHF"}]
    await admin.client.post(IMPORTS, json={"items": items})

    answer = await admin.client.get(URL)

    assert answer.json()["currencies"] == [
        {"currency": "CHF", "products": 1, "out_of_stock": 0, "pieces": 4, "value": 5000},
        {"currency": "EUR", "products": 2, "out_of_stock": 1, "pieces": 4, "value": 5000},
    ]
    assert answer.headers["Cache-Control"] == "no-store"


async def test_an_import_shows_at_once_and_one_product_later(admin: Account) -> None:
    await admin.client.get(URL)
    await admin.client.post("/api/v1/products", json=TEA)
    before = (await admin.client.get(URL)).json()["currencies"]
    await admin.client.post(IMPORTS, json={"items": [TEA | {"sku": "CUP"}]})
    after = (await admin.client.get(URL)).json()["currencies"]
    change = {"currency": "EUR", "percent": 100}
    await admin.client.post("/api/v1/price-changes", json=change)
    doubled = (await admin.client.get(URL)).json()["currencies"]

    assert before == []
    assert (after[0]["products"], after[0]["value"]) == (2, 10_000)
    assert doubled[0]["value"] == 20_000


async def test_as_many_as_may_ask_at_once_cost_one_query(
    committed_admin: Account, executed: list[str]
) -> None:
    answers = await asyncio.gather(*(committed_admin.client.get(URL) for _ in range(100)))

    assert {each.status_code for each in answers} == {200}
    assert len([each for each in executed if "GROUP BY" in each]) == 1


async def test_they_are_for_those_who_may_read_products(member: Account, admin: Account) -> None:
    await admin.client.get(URL)
    del member.client.headers["Authorization"]

    assert (await member.client.get(URL)).status_code == 401
