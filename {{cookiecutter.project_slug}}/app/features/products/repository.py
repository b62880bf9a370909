"""All SQL about products."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.pagination import Found, paginate
from app.features.products.models import Product
from app.features.products.schemas import ProductQuery

SORTABLE = {
    "created_at": Product.created_at,
    "id": Product.id,
    "name": Product.name,
    "price": Product.price,
    "sku": Product.sku,
}


async def get(session: AsyncSession, product_id: UUID) -> Product | None:
    """The product with this id."""
    return await session.get(Product, product_id)


async def page(session: AsyncSession, query: ProductQuery) -> Found[Product]:
    """Products that match, newest first unless asked otherwise."""
    statement = select(Product)
    if query.name is not None:
        statement = statement.where(Product.name.icontains(query.name, autoescape=True))
    if query.currency is not None:
        statement = statement.where(Product.currency == query.currency)
    if query.min_price is not None:
        statement = statement.where(Product.price >= query.min_price)
    if query.max_price is not None:
        statement = statement.where(Product.price <= query.max_price)
    return await paginate(session, statement, query, sortable=SORTABLE, default="-created_at")
