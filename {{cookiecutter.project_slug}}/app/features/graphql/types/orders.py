"""Orders."""

from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import UUID

import strawberry
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession
from strawberry import relay

from app.core.pagination import Found
from app.core.routing import CUSTOMER, About
from app.core.security.access import Can, signed_in
from app.features import idempotency
from app.features.graphql.context import Context, Info, current
from app.features.graphql.fields import field
from app.features.graphql.nodes import Identified, one, uuid_of
from app.features.graphql.pages import connection
from app.features.graphql.schemas import BigInt, Shown, accepts, filters, given, shows, valid
from app.features.orders import models, repository, schemas, service
from app.features.orders.permissions import OrderPermission

place, pay, write = (
    Can(each) for each in (OrderPermission.PLACE, OrderPermission.PAY, OrderPermission.WRITE)
)


@shows(schemas.OrderLineRead)
class OrderLine(Shown):
    price: BigInt = strawberry.field(description="Per item, in the currency's smallest unit")


async def get(session: AsyncSession, order_id: UUID) -> schemas.OrderDetails:
    """An order that the caller may read."""
    return await service.get(session, current.get().principal, order_id)


async def page(session: AsyncSession, query: schemas.OrderQuery) -> Found[Row[Any]]:
    """The orders that the caller may read."""
    return await service.page(session, current.get().principal, query)


@shows(schemas.OrderRead)
class Order(Identified):
    access: ClassVar[Any] = signed_in
    about: ClassVar[About] = CUSTOMER
    get = get

    total: BigInt = strawberry.field(description="In the currency's smallest unit")

    @field(signed_in, CUSTOMER)
    async def lines(self, info: Info) -> list[OrderLine]:
        """The products as they were ordered."""
        return [OrderLine.of(line) for line in await info.context.loader(lines_of).load(self.id)]


async def lines_of(context: Context, ids: list[UUID]) -> list[Sequence[models.OrderLine]]:
    """The lines of each of these orders, which the caller may read."""
    async with context.reading() as session:
        found = await repository.lines_of_all(session, ids)
    return [found.get(each, ()) for each in ids]


@filters(schemas.OrderQuery)
class OrderFilter: ...


@accepts(schemas.NewLine)
class NewOrderLine: ...


@accepts(schemas.NewOrder)
class NewOrder:
    lines: list[NewOrderLine]


@strawberry.type
class Query:
    order = one(Order, "Get an order.")
    orders = connection(
        Order,
        schemas.OrderQuery,
        page,
        access=signed_in,
        about=CUSTOMER,
        filters=OrderFilter,
        description="List the caller's orders, newest first by default; all orders with the permission to read"
        " those of others.",
    )


@strawberry.type
class Mutation:
    @field(place, CUSTOMER)
    async def place_order(self, info: Info, input: NewOrder, idempotency_key: str) -> Order:
        """Place an order at the current prices, once for each idempotency key."""
        new = valid(schemas.NewOrder, {"lines": [given(each) for each in input.lines]})
        context = info.context

        async def work(session: AsyncSession) -> str:
            return str((await service.place(session, context.principal, new)).id)

        request = idempotency.KeyedRequest(
            context.service.database, context.principal, "place_order", idempotency_key, new
        )
        order_id = await idempotency.once(request, context.unit_of_work, work)
        async with context.reading() as session:
            return Order.of(await get(session, UUID(order_id)))

    @field(signed_in, CUSTOMER)
    async def cancel_order(self, info: Info, id: relay.GlobalID) -> Order:
        """Cancel an order that is not paid yet."""
        async with info.context.unit_of_work() as session:
            principal = info.context.principal
            return Order.of(await service.cancel(session, principal, uuid_of(Order, id)))

    @field(pay, CUSTOMER)
    async def pay_order(self, info: Info, id: relay.GlobalID) -> Order:
        """Record that an order was paid."""
        return await advanced(info, id, "pay")

    @field(write, CUSTOMER)
    async def ship_order(self, info: Info, id: relay.GlobalID) -> Order:
        """Record that a paid order was shipped."""
        return await advanced(info, id, "ship")

    @field(write, CUSTOMER)
    async def deliver_order(self, info: Info, id: relay.GlobalID) -> Order:
        """Record that a shipped order was delivered."""
        return await advanced(info, id, "deliver")

    @field(pay, CUSTOMER)
    async def refund_order(self, info: Info, id: relay.GlobalID) -> Order:
        """Record that a paid order was refunded. Unless it was shipped, its items are returned to stock."""
        return await advanced(info, id, "refund")


async def advanced(info: Info, id: relay.GlobalID, action: str) -> Order:
    """The order after its transition."""
    async with info.context.unit_of_work() as session:
        return Order.of(await service.advance(session, uuid_of(Order, id), action))
