"""Rules about products."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.errors import refusing
from app.core.errors import Conflict, NotFound
from app.core.pagination import Found
from app.features.audit.service import record
from app.features.products import repository
from app.features.products.models import Product
from app.features.products.schemas import NewProduct, ProductQuery


class ProductNotFound(NotFound):
    """No product has this id."""

    def __init__(self) -> None:
        super().__init__("There is no such product.")


class SkuTaken(Conflict):
    """A stock-keeping unit names one product."""

    def __init__(self, sku: str) -> None:
        super().__init__(f"There is already a product with the SKU {sku}.")


async def create(session: AsyncSession, new: NewProduct) -> Product:
    """Add a product."""
    product = Product(**new.model_dump())
    session.add(product)
    with refusing("uq_products_sku", SkuTaken(new.sku)):
        await session.flush()
    record(session, "product.created", "product", product.id, after=new.model_dump())
    return product


async def get(session: AsyncSession, product_id: UUID) -> Product:
    """One product."""
    product = await repository.get(session, product_id)
    if product is None:
        raise ProductNotFound
    return product


async def page(session: AsyncSession, query: ProductQuery) -> Found[Product]:
    """One page of products."""
    return await repository.page(session, query)
