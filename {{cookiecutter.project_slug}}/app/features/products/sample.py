"""Example rows."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.sampling import Row, Sampling
from app.features.products.models import Product

COLORS = ("Black", "Blue", "Green", "Gray", "Orange", "Red", "White", "Yellow")
THINGS = ("bag", "bowl", "chair", "lamp", "mug", "notebook", "scarf", "table", "vase")


async def sample(session: AsyncSession, sampling: Sampling) -> None:
    """Add products."""
    await sampling.add(session, Product, lambda number, _: product(sampling, number))


def product(sampling: Sampling, number: int) -> Row:
    """The product with this number."""
    random = sampling.random(Product, number)
    return {
        "sku": f"SAMPLE-{sampling.seed}-{number}",
        "name": f"{random.choice(COLORS)} {random.choice(THINGS)}",
        "description": "For trying things out.",
        "price": random.randrange(100, 50_000),
        "currency": "EUR",
        "stock": random.randrange(1000),
    }
