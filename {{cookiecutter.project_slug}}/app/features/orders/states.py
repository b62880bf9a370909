"""The states of an order, and how it gets from one to another."""

from app.core.db.base import utc_now
from app.core.errors import Conflict
from app.core.states import Machine, Transition
from app.features.orders.events import OrderStateChanged
from app.features.orders.models import Order, OrderState


class PaymentTooLate(Conflict):
    """The order was not paid in time; its items are returned to stock."""

    def __init__(self) -> None:
        super().__init__("The time to pay for this order has expired. Place a new one.")


def in_time(order: Order) -> None:
    """Refuse a payment after the last moment."""
    if order.pay_until < utc_now():
        raise PaymentTooLate


PENDING, PAID, SHIPPED = OrderState.PENDING, OrderState.PAID, OrderState.SHIPPED
DELIVERED = OrderState.DELIVERED

ORDERS = Machine(
    PENDING,
    {
        "pay": Transition((PENDING,), PAID, guard=in_time),
        "ship": Transition((PAID,), SHIPPED),
        "deliver": Transition((SHIPPED,), DELIVERED),
        "cancel": Transition((PENDING,), OrderState.CANCELLED),
        "refund": Transition((PAID, SHIPPED, DELIVERED), OrderState.REFUNDED),
    },
    event=lambda order, before: OrderStateChanged(
        order_id=order.id, before=before, after=OrderState(order.state)
    ),
)
KEPT = (PENDING, PAID)
"""In these states the pieces have not left: when the order ends, they go back to the stock."""
