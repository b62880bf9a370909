"""What the tests of orders share."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from httpx2 import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.session import Database, unit_of_work
from conftest import Account
from tests.inline import serving

Act = Callable[[AsyncSession], Awaitable[object]]
ORDERS, PRODUCTS = "/api/v1/orders", "/api/v1/products"


async def stocked(admin: Account, stock: int, **more: object) -> dict[str, Any]:
    """A new product with so many pieces."""
    new = {"sku": uuid4().hex[:12].upper(), "name": "Green tea", "price": 1250, "stock": stock}
    answer = await admin.client.post(PRODUCTS, json=new | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def place(
    client: AsyncClient, *lines: tuple[dict[str, Any], int], key: str | None = None
) -> Response:
    """Order pieces of these products."""
    wanted = [{"product_id": product["id"], "quantity": count} for product, count in lines]
    headers = {"Idempotency-Key": key or uuid4().hex}
    return await client.post(ORDERS, json={"lines": wanted}, headers=headers)


async def left(admin: Account, product: dict[str, Any]) -> int:
    """How many pieces are left."""
    return (await admin.client.get(f"{PRODUCTS}/{product['id']}")).json()["stock"]


async def act(client: AsyncClient, order: dict[str, Any], action: str) -> Response:
    """Do this with an order."""
    return await client.post(f"{ORDERS}/{order['id']}/{action}")


def kind(answer: Response) -> tuple[int, str]:
    """The status and the type of a problem, without the common prefix."""
    return answer.status_code, answer.json()["type"].removeprefix("urn:problem-type:")


async def for_each_customer(database: Database, act: Act) -> None:
    """Do this in a transaction for each customer, or once, if there are none."""
    async with unit_of_work(database) as session:
        customers = await serving(database).customers(session)
    for within in customers:
        with within:
            async with unit_of_work(database) as session:
                await act(session)
