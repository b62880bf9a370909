"""Events that other features may listen to."""

from typing import ClassVar
from uuid import UUID

from app.core.events import Event
from app.features.orders.models import OrderState


class OrderPlaced(Event):
    """An order was placed, and its items were taken from stock."""

    name: ClassVar[str] = "order.placed"

    order_id: UUID


class OrderStateChanged(Event):
    """An order has made a transition."""

    name: ClassVar[str] = "order.state_changed"

    order_id: UUID
    before: OrderState
    after: OrderState


EVENTS = (OrderPlaced, OrderStateChanged)
