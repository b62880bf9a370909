"""Example rows."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.sampling import Row, Sampling
from app.features.orders.models import Order, OrderLine, OrderState
from app.features.products.models import Product
from app.features.products.sample import product
from app.features.users.models import User

STATES = [state for state in OrderState if state is not OrderState.PENDING]
"""Pending ones would expire at once, as they are old."""
MOST = 3
"""The lines of an order."""


async def sample(session: AsyncSession, sampling: Sampling) -> None:
    """Add orders of sample users for sample products."""
    ordered = {number: lines_of(sampling, number) for number in sampling.numbers}
    new = await sampling.add(
        session,
        Order,
        lambda number, random: {
            "buyer_id": sampling.id(User, random.randrange(number + 1)),
            "state": random.choice(STATES),
            "currency": "EUR",
            "total": sum(line["price"] * line["quantity"] for line in ordered[number]),
            "pay_until": sampling.at(number),
        },
    )
    lines = {each * MOST + line["position"]: line for each in new for line in ordered[each]}
    await sampling.add(session, OrderLine, lambda number, _: lines[number], lines)


def lines_of(sampling: Sampling, number: int) -> list[Row]:
    """The lines of an order, each for another product."""
    random = sampling.random(Order, number)
    chosen = random.sample(range(number + 1), min(number + 1, random.randint(1, MOST)))
    values: Row = {"order_id": sampling.id(Order, number)}
    values |= dict.fromkeys(("created_at", "updated_at"), sampling.at(number))
    return [
        values
        | {name: sold[name] for name in ("sku", "name", "price")}
        | {"product_id": sampling.id(Product, n), "position": position, "quantity": amount}
        for position, n in enumerate(chosen)
        for sold, amount in [(product(sampling, n), random.randint(1, 5))]
    ]
