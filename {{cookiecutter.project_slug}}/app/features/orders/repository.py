"""All SQL of orders."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import utc_now
from app.core.db.session import Database
from app.core.listing import Listing, rows_of
from app.core.pagination import Found
from app.features.orders.models import Order, OrderLine, OrderState
from app.features.orders.schemas import OrderQuery

BATCH = 100
ORDERS = Listing(OrderQuery, Order, owner=Order.buyer_id)
LINES = (
    select(OrderLine.product_id, OrderLine.sku, OrderLine.name, OrderLine.price, OrderLine.quantity)
    .where(OrderLine.order_id == bindparam("order_id", type_=OrderLine.order_id.type))
    .order_by(OrderLine.position)
)


async def get(
    reader: Database | AsyncSession, order_id: UUID, only: UUID | None
) -> Row[Any] | None:
    """The order with this id; only if it belongs to this buyer, if one is given."""
    return await ORDERS.one(reader, order_id, only=only)


async def lines_of(reader: Database | AsyncSession, order_id: UUID) -> Sequence[Row[Any]]:
    """The lines of an order, in their order."""
    return await rows_of(reader, LINES, {"order_id": order_id})


async def lines_of_all(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, list[OrderLine]]:
    """The lines of each of these orders that has some, in their order."""
    statement = select(OrderLine).where(OrderLine.order_id.in_(ids))
    found = defaultdict[UUID, list[OrderLine]](list)
    for line in await session.scalars(statement.order_by(OrderLine.position)):
        found[line.order_id].append(line)
    return found


async def page(
    reader: Database | AsyncSession, query: OrderQuery, only: UUID | None
) -> Found[Row[Any]]:
    """Matching orders, newest first by default; only those of this buyer, if one is given."""
    return await ORDERS.page(reader, query, only=only)


async def lock(session: AsyncSession, order_id: UUID) -> Order | None:
    """The order with this id, reread and locked."""
    return await session.get(Order, order_id, with_for_update=True)


async def lock_unpaid(session: AsyncSession) -> Sequence[Order]:
    """Some orders that were not paid in time, locked; those that others have locked are left to them."""
    late = select(Order).where(Order.state == OrderState.PENDING, Order.pay_until < utc_now())
    locked = late.order_by(Order.pay_until).limit(BATCH).with_for_update(skip_locked=True)
    return (await session.scalars(locked)).all()


async def pieces_of(session: AsyncSession, ids: Collection[UUID]) -> Sequence[Row[UUID, int]]:
    """The product and the quantity of each line of these orders."""
    pieces = select(OrderLine.product_id, OrderLine.quantity).where(OrderLine.order_id.in_(ids))
    return (await session.execute(pieces)).all()
