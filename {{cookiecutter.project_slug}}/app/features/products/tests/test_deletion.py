"""Deleted products are hidden and can be restored for a while; many are created together, or none."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import utc_now
from app.core.db.deletion import WITH_DELETED
from app.core.db.session import Database, unit_of_work
from app.core.jobs.work import Work
from app.features.products.jobs import purge_products
from app.features.products.models import Product
from conftest import Account
from tests.inline import serving

TEA: dict[str, Any] = {"sku": "TEA-250", "name": "Green tea", "price": 1250}
URL, IMPORTS = "/api/v1/products", "/api/v1/product-imports"


async def deleted(admin: Account, **changes: object) -> str:
    """The URL of a product that was deleted."""
    url = (await admin.client.post(URL, json=TEA | changes)).headers["Location"]
    assert (await admin.client.delete(url)).status_code == 204
    return url


async def listed(admin: Account, **query: int) -> list[str]:
    """The SKUs in a list, by name."""
    answer = await admin.client.get(URL, params={"with_total": True, "sort": "sku", **query})
    assert answer.json()["total"] == len(answer.json()["items"])
    return [each["sku"] for each in answer.json()["items"]]


async def test_a_deleted_product_is_found_where_it_is_asked_for(admin: Account) -> None:
    await admin.client.post(URL, json=TEA | {"sku": "CUP"})
    url = await deleted(admin)

    assert await listed(admin) == await listed(admin, deleted=False) == ["CUP"]
    assert await listed(admin, deleted=True) == ["TEA-250"]
    (item,) = (await admin.client.get(URL, params={"deleted": True})).json()["items"]
    assert item["deleted_at"] > item["created_at"]
    for answer in (
        await admin.client.get(url),
        await admin.client.patch(url, json={"price": 1}),
        await admin.client.delete(url),
    ):
        assert answer.status_code == 404


async def test_a_restored_product_is_as_it_was(admin: Account) -> None:
    url = await deleted(admin, stock=3, description="Loose")

    restored = await admin.client.post(f"{url}/restore")
    again = await admin.client.post(f"{url}/restore")

    assert restored.status_code == 200
    assert restored.json() == (await admin.client.get(url)).json()
    assert (restored.json()["stock"], restored.json()["deleted_at"]) == (3, None)
    assert restored.json()["version"] == 3
    assert again.status_code == 404
    assert await listed(admin) == ["TEA-250"]


async def test_a_product_is_not_restored_beside_another_with_its_sku(admin: Account) -> None:
    url = await deleted(admin)
    await admin.client.post(URL, json=TEA)

    answer = await admin.client.post(f"{url}/restore")

    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:problem-type:sku-taken"
    assert await listed(admin, deleted=True) == ["TEA-250"]


async def test_members_restore_and_import_nothing(admin: Account, member: Account) -> None:
    url = await deleted(admin)

    assert (await member.client.post(f"{url}/restore")).status_code == 403
    assert (await member.client.post(IMPORTS, json={"items": [TEA]})).status_code == 403


async def test_deleted_products_are_purged_when_their_time_is_over(
    admin: Account, database: Database
) -> None:
    await deleted(admin, sku="OLD")
    await deleted(admin, sku="NEW")
    await admin.client.post(URL, json=TEA)

    async def for_each(age: timedelta) -> None:
        async with unit_of_work(database) as session:
            customers = await serving(database).customers(session)
        for within in customers:
            with within:
                async with unit_of_work(database) as session:
                    await make_older(session, age)
                    await purge_products.function(Work(session, serving(database), 1, uuid4()))

    async def make_older(session: AsyncSession, age: timedelta) -> None:
        old = select(Product).where(Product.sku == "OLD")
        for product in await session.scalars(old, execution_options=WITH_DELETED):
            product.deleted_at = utc_now() - age
        await session.flush()

    await for_each(timedelta(days=29))
    assert await listed(admin, deleted=True) == ["NEW", "OLD"]
    await for_each(timedelta(days=31))
    assert await listed(admin, deleted=True) == ["NEW"]
    assert await listed(admin) == ["TEA-250"]


async def test_many_products_are_created_together_or_none(admin: Account) -> None:
    many = [TEA | {"sku": f"TEA-{number:03}"} for number in range(100)]

    created = await admin.client.post(IMPORTS, json={"items": many})
    clash = await admin.client.post(IMPORTS, json={"items": [TEA, many[7], many[3]]})

    assert created.status_code == 201
    assert [each["sku"] for each in created.json()["items"]] == [each["sku"] for each in many]
    assert clash.status_code == 409
    assert "TEA-003, TEA-007" in clash.json()["detail"]
    twice = await admin.client.post(IMPORTS, json={"items": [TEA, TEA]})
    assert (twice.status_code, twice.json()["type"]) == (409, "urn:problem-type:sku-taken")
    assert len(await listed(admin, limit=100)) == 100
    log = {"action": "product.created", "limit": 100, "with_total": True}
    assert (await admin.client.get("/api/v1/audit-events", params=log)).json()["total"] == 100


@pytest.mark.parametrize("items", [[], [TEA] * 101, [TEA, {"sku": "X"}]])
async def test_what_cannot_be_created_together_is_refused(
    admin: Account, items: list[dict[str, Any]]
) -> None:
    answer = await admin.client.post(IMPORTS, json={"items": items})

    assert answer.status_code == 422
    assert await listed(admin) == []
