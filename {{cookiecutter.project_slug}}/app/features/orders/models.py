"""Tables."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db.resource import Resource


class OrderState(StrEnum):
    """The state of an order."""

    PENDING = "pending"
    """Placed, and not paid yet."""
    PAID = "paid"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


class Order(Resource):
    """An order."""

    __tablename__ = "orders"
    __table_args__ = (
        Resource.index("created_at", "id", name="ix_orders_created_at"),
        Resource.index("buyer_id", "created_at", "id", name="ix_orders_buyer_id"),
        Resource.index("state", "pay_until", name="ix_orders_state"),
    )

    buyer_id: Mapped[UUID]
    """The user who placed it; no reference, as orders outlive accounts."""
    state: Mapped[str] = mapped_column(String(16))
    currency: Mapped[str] = mapped_column(String(3))
    total: Mapped[int] = mapped_column(BigInteger)
    pay_until: Mapped[datetime]
    """When it is cancelled, unless it is paid."""


class OrderLine(Resource):
    """A line of an order: a product as it was sold, whatever becomes of it."""

    __tablename__ = "order_lines"
    __table_args__ = (
        Resource.reference(
            "order_id", "orders", name="fk_order_lines_order_id", ondelete="CASCADE"
        ),
        Resource.unique("order_id", "position", name="uq_order_lines_order_id_position"),
    )

    order_id: Mapped[UUID]
    position: Mapped[int]
    product_id: Mapped[UUID]
    sku: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(200))
    price: Mapped[int] = mapped_column(BigInteger)
    quantity: Mapped[int]
