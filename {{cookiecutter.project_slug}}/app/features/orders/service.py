"""Rules about orders."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from app.core.db.base import utc_now
from app.core.db.session import Database
from app.core.errors import NotFound, Unprocessable
from app.core.pagination import Found
from app.core.security.ownership import OwnedBy
from app.core.security.principal import Principal
from app.core.service import publish, settings_of
from app.features import audit
from app.features.orders import repository
from app.features.orders.events import OrderPlaced
from app.features.orders.models import Order, OrderLine, OrderState
from app.features.orders.permissions import OrderPermission
from app.features.orders.schemas import NewOrder, OrderDetails, OrderLineRead, OrderQuery, OrderRead
from app.features.orders.settings import OrderSettings
from app.features.orders.states import KEPT, ORDERS
from app.features.products import service as products

HIGHEST_TOTAL = 10**15
READING = OwnedBy(Order.buyer_id, OrderPermission.READ)
CANCELLING = OwnedBy(Order.buyer_id, OrderPermission.WRITE)


class OrderNotFound(NotFound):
    """No order has this id, or it belongs to another buyer."""

    def __init__(self) -> None:
        super().__init__("There is no such order.")


class SeveralCurrencies(Unprocessable):
    """The products in the order are priced in different currencies."""

    def __init__(self) -> None:
        super().__init__(
            "The products are priced in different currencies. Place an order for each."
        )


class TotalTooHigh(Unprocessable):
    """The total is more than all clients can represent."""

    def __init__(self) -> None:
        super().__init__(f"The total is more than {HIGHEST_TOTAL}. Order fewer items.")


async def place(session: AsyncSession, principal: Principal, new: NewOrder) -> OrderDetails:
    """Place an order at the current prices, and take its items from stock."""
    wanted = {line.product_id: line.quantity for line in new.lines}
    sold = await products.take(session, wanted)
    if len({product.currency for product in sold}) > 1:
        raise SeveralCurrencies
    total = sum(product.price * wanted[product.id] for product in sold)
    if total > HIGHEST_TOTAL:
        raise TotalTooHigh
    minutes = settings_of(session, OrderSettings).unpaid_minutes
    order = Order(
        id=uuid7(),
        buyer_id=principal.user_id,
        state=ORDERS.initial,
        currency=sold[0].currency,
        total=total,
        pay_until=utc_now() + timedelta(minutes=minutes),
    )
    session.add(order)
    await session.flush()
    lines = [
        OrderLine(
            order_id=order.id,
            position=position,
            product_id=product.id,
            sku=product.sku,
            name=product.name,
            price=product.price,
            quantity=wanted[product.id],
        )
        for position, product in enumerate(sold)
    ]
    session.add_all(lines)
    after = {"total": order.total, "currency": order.currency, "lines": len(lines)}
    audit.record(session, "order.placed", "order", order.id, after=after)
    await session.flush()
    await publish(session, OrderPlaced(order_id=order.id))
    return details(order, lines)


def details(order: Order | Row[Any], lines: Sequence[OrderLine | Row[Any]]) -> OrderDetails:
    """The order with its lines."""
    return OrderDetails(
        **OrderRead.model_validate(order).model_dump(),
        lines=[OrderLineRead.model_validate(line) for line in lines],
        actions=ORDERS.possible(order),
    )


async def get(
    reader: Database | AsyncSession, principal: Principal, order_id: UUID
) -> OrderDetails:
    """An order of the caller, or any if the caller may read those of others."""
    order = await repository.get(reader, order_id, READING.only(principal))
    if order is None:
        raise OrderNotFound
    return details(order, await repository.lines_of(reader, order_id))


async def page(
    reader: Database | AsyncSession, principal: Principal, query: OrderQuery
) -> Found[Row[Any]]:
    """The caller's orders, or all if the caller may read those of others."""
    return await repository.page(reader, query, READING.only(principal))


async def advance(session: AsyncSession, order_id: UUID, action: str) -> OrderDetails:
    """Do this with an order, for a caller who may with any."""
    return await moved(session, await lock(session, order_id), action)


async def cancel(session: AsyncSession, principal: Principal, order_id: UUID) -> OrderDetails:
    """Cancel an order of the caller, or any if the caller may cancel those of others."""
    order = await lock(session, order_id)
    if not CANCELLING.allows(principal, order):
        raise OrderNotFound
    return await moved(session, order, "cancel")


async def lock(session: AsyncSession, order_id: UUID) -> Order:
    """One order, locked until the commit."""
    order = await repository.lock(session, order_id)
    if order is None:
        raise OrderNotFound
    return order


async def moved(session: AsyncSession, order: Order, action: str) -> OrderDetails:
    """The locked order after its transition."""
    await move(session, [order], action)
    return details(order, await repository.lines_of(session, order.id))


async def move(session: AsyncSession, orders: Sequence[Order], action: str) -> None:
    """Make the transition of locked orders; pieces that were not shipped go back to the stock when their order ends."""
    ended: list[UUID] = []
    for order in orders:
        before = await ORDERS.apply(session, action, order)
        change = {"before": {"state": before}, "after": {"state": order.state}}
        audit.record(session, f"order.{action}", "order", order.id, **change)
        if before in KEPT and order.state in {OrderState.CANCELLED, OrderState.REFUNDED}:
            ended.append(order.id)
    pieces = Counter[UUID]()
    for product_id, quantity in await repository.pieces_of(session, ended) if ended else ():
        pieces[product_id] += quantity
    if pieces:
        await products.give_back(session, pieces)


async def expire(session: AsyncSession) -> bool:
    """Cancel some orders that were not paid in time; returns whether there may be more."""
    orders = await repository.lock_unpaid(session)
    await move(session, orders, "cancel")
    await session.flush()
    return len(orders) == repository.BATCH
