"""Requests and responses."""

from typing import Annotated, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, model_validator

from app.core.listing import In
from app.core.pagination import ListQuery, SortableBy
from app.core.queries import Several
from app.core.schemas import WHOLE, Input, Output, Stored
from app.features.orders.models import Order, OrderState

MOST_LINES = 100
Quantity = Annotated[int, Field(ge=1, le=10_000, examples=[2]), WHOLE]


class NewLine(Input):
    """A product, and how many of it to order."""

    product_id: UUID = Field(examples=["01890000-0000-7000-8000-000000000000"])
    quantity: Quantity


class NewOrder(Input):
    """An order to place, at the current prices."""

    lines: Annotated[list[NewLine], Field(min_length=1, max_length=MOST_LINES)] = Field(
        examples=[[{"product_id": "01890000-0000-7000-8000-000000000000", "quantity": 2}]]
    )

    @model_validator(mode="after")
    def once_each(self) -> Self:
        """Each product has one line."""
        if len({line.product_id for line in self.lines}) < len(self.lines):
            raise ValueError("list each product once, with the total quantity")
        return self


class OrderRead(Stored):
    """An order, as in lists."""

    buyer_id: UUID = Field(description="The user who placed it, even after the account is deleted")
    state: OrderState
    currency: str
    total: int = Field(description="In the currency's smallest unit")
    pay_until: AwareDatetime = Field(description="When it is cancelled, unless it is paid")


class OrderLineRead(Output):
    """A line of an order, with the product as it was when it was ordered."""

    product_id: UUID
    sku: str
    name: str
    price: int = Field(description="Per item, in the currency's smallest unit")
    quantity: int


class OrderDetails(OrderRead):
    """An order with its lines."""

    lines: list[OrderLineRead]
    actions: list[str] = Field(description="Actions that its state allows")


class OrderQuery(ListQuery):
    """Filters for orders."""

    sort: Annotated[str, SortableBy(Order.created_at)] = "-created_at"
    state: Annotated[Several[OrderState] | None, In(Order.state)] = Field(
        None, description="Orders in any of these states; can be repeated"
    )
