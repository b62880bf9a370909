"""All SQL of products."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, case, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import utc_now
from app.core.db.deletion import SHOWN, WITH_DELETED, visible
from app.core.db.session import Database
from app.core.listing import Listing
from app.core.pagination import Found
from app.features.products.models import Product
from app.features.products.schemas import HIGHEST_PRICE, ProductQuery

BATCH = 1000
PRODUCTS = Listing(ProductQuery, Product)
STATISTICS_TAG = "product statistics"
"""Of what is cached of this statement."""
STATISTICS = (
    select(
        Product.currency,
        func.count().label("products"),
        func.sum(case((Product.stock == 0, 1), else_=0)).label("out_of_stock"),
        func.sum(Product.stock).label("pieces"),
        func.sum(Product.stock * Product.price).label("value"),
    )
    .where(*visible(Product))
    .group_by(Product.currency)
    .order_by(Product.currency)
)


async def get(reader: Database | AsyncSession, product_id: UUID) -> Row[Any] | None:
    """The product with this id."""
    return await PRODUCTS.one(reader, product_id)


async def lock(session: AsyncSession, product_id: UUID) -> Product | None:
    """The product with this id, reread and locked."""
    return await session.get(Product, product_id, with_for_update=True)


async def lock_deleted(session: AsyncSession, product_id: UUID) -> Product | None:
    """The deleted product with this id, locked."""
    statement = select(Product).where(Product.id == product_id, Product.deleted_at.is_not(None))
    return await session.scalar(statement.with_for_update(), execution_options=WITH_DELETED)


async def taken(session: AsyncSession, skus: Collection[str]) -> Sequence[str]:
    """Which of these SKUs products have, in order."""
    statement = select(Product.sku).where(Product.sku.in_(skus)).order_by(Product.sku)
    return (await session.scalars(statement)).all()


def outlived(days: int) -> ColumnElement[bool]:
    """Products that were deleted so many days ago."""
    return Product.deleted_at < utc_now() - timedelta(days=days)


async def lock_all(
    session: AsyncSession, ids: Collection[UUID], *, deleted: bool = False
) -> dict[UUID, Product]:
    """Those of these products that exist, by id; locked in the order of their ids, so that no two requests block each other."""
    statement = select(Product).where(Product.id.in_(ids)).order_by(Product.id)
    fresh = {"populate_existing": True, SHOWN: deleted}
    found = await session.scalars(statement.with_for_update(), execution_options=fresh)
    return {each.id: each for each in found}


async def page(reader: Database | AsyncSession, query: ProductQuery) -> Found[Row[Any]]:
    """Matching products, newest first by default."""
    return await PRODUCTS.page(reader, query)


async def statistics(database: Database) -> Sequence[object]:
    """A row for each currency."""
    return await database.rows(STATISTICS, {})


async def change_prices(
    session: AsyncSession, currency: str, percent: int, until: datetime, after: UUID | None
) -> tuple[int, UUID | None]:
    """Change a batch of prices; return its size, and its last id if there may be more.

    Rounded to the nearest unit, halves up, and capped at the highest price.
    """
    batch = select(Product.id).where(Product.currency == currency, Product.created_at <= until)
    if after is not None:
        batch = batch.where(Product.id > after)
    locked = batch.order_by(Product.id).limit(BATCH).with_for_update()
    ids = (await session.scalars(locked)).all()
    price = (Product.price * (100 + percent) + 50) // 100
    statement = (
        update(Product)
        .where(Product.id.in_(ids))
        .values(
            version=Product.version + 1,
            price=case((price > HIGHEST_PRICE, HIGHEST_PRICE), else_=price),
        )
    )
    await session.execute(statement, execution_options={"synchronize_session": False})
    return len(ids), ids[-1] if len(ids) == BATCH else None
