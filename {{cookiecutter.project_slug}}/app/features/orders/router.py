"""Endpoints."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Response
from sqlalchemy import Row

from app.core.db.session import DatabaseDep, SessionDep
from app.core.openapi import problems
from app.core.pagination import Found, Page
from app.core.routing import CUSTOMER, router as new_router
from app.core.security.access import Can, CurrentPrincipal
from app.features.idempotency import idempotent_only
from app.features.orders import service
from app.features.orders.permissions import OrderPermission
from app.features.orders.schemas import NewOrder, OrderDetails, OrderQuery, OrderRead

router = new_router("/orders", tag="orders", about=CUSTOMER)

NOT_FOUND = problems({404: "No such order, or it belongs to another buyer"})
WRONG_STATE = problems({409: "The order's state does not allow it"})


@router.post("", status_code=201, dependencies=[Can(OrderPermission.PLACE), idempotent_only])
async def place_order(
    principal: CurrentPrincipal, session: SessionDep, new: NewOrder, response: Response
) -> OrderDetails:
    """Place an order at the current prices. Its items are reserved until it is paid or expires."""
    order = await service.place(session, principal, new)
    response.headers["Location"] = f"{router.prefix}/{order.id}"
    return order


@router.get("", response_model=Page[OrderRead])
async def list_orders(
    principal: CurrentPrincipal,
    database: DatabaseDep,
    query: Annotated[OrderQuery, Depends(OrderQuery.requested)],
) -> Found[Row[Any]]:
    """List the caller's orders, newest first by default; all orders with the permission to read those of others."""
    return await service.page(database, principal, query)


@router.get("/{order_id}", responses=NOT_FOUND)
async def get_order(
    principal: CurrentPrincipal, database: DatabaseDep, order_id: UUID
) -> OrderDetails:
    """Get an order."""
    return await service.get(database, principal, order_id)


@router.post("/{order_id}/cancel", responses=NOT_FOUND | WRONG_STATE)
async def cancel_order(
    principal: CurrentPrincipal, session: SessionDep, order_id: UUID
) -> OrderDetails:
    """Cancel an order that is not paid yet."""
    return await service.cancel(session, principal, order_id)


@router.post(
    "/{order_id}/pay",
    dependencies=[Can(OrderPermission.PAY)],
    responses=NOT_FOUND | WRONG_STATE,
)
async def pay_order(session: SessionDep, order_id: UUID) -> OrderDetails:
    """Record that an order was paid."""
    return await service.advance(session, order_id, "pay")


@router.post(
    "/{order_id}/ship",
    dependencies=[Can(OrderPermission.WRITE)],
    responses=NOT_FOUND | WRONG_STATE,
)
async def ship_order(session: SessionDep, order_id: UUID) -> OrderDetails:
    """Record that a paid order was shipped."""
    return await service.advance(session, order_id, "ship")


@router.post(
    "/{order_id}/deliver",
    dependencies=[Can(OrderPermission.WRITE)],
    responses=NOT_FOUND | WRONG_STATE,
)
async def deliver_order(session: SessionDep, order_id: UUID) -> OrderDetails:
    """Record that a shipped order was delivered."""
    return await service.advance(session, order_id, "deliver")


@router.post(
    "/{order_id}/refund",
    dependencies=[Can(OrderPermission.PAY)],
    responses=NOT_FOUND | WRONG_STATE,
)
async def refund_order(session: SessionDep, order_id: UUID) -> OrderDetails:
    """Record that a paid order was refunded. Unless it was shipped, its items are returned to stock."""
    return await service.advance(session, order_id, "refund")
