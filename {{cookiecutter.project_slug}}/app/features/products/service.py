"""Rules about products."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from app.core.db.base import utc_now
from app.core.db.errors import refusing
from app.core.db.session import Database
from app.core.db.versions import Expected, require
from app.core.errors import Conflict, NotFound, Unprocessable
from app.core.jobs.outbox import enqueue
from app.features import audit, cache
from app.features.products import jobs, repository
from app.features.products.models import Product
from app.features.products.schemas import (
    NewProduct,
    NewProducts,
    PriceChange,
    ProductChange,
    ProductStatistics,
)

MINUTE = 60


class ProductNotFound(NotFound):
    """No product has this id."""

    def __init__(self) -> None:
        super().__init__("There is no such product.")


class UnknownProduct(Unprocessable):
    """A request names a product that does not exist."""

    def __init__(self, product_id: UUID) -> None:
        super().__init__(f"There is no product with the id {product_id}.")


class OutOfStock(Conflict):
    """Fewer items are in stock than were ordered."""

    def __init__(self, product: Product) -> None:
        super().__init__(
            f"Not enough of {product.name} in stock: {product.stock} left.",
            sku=product.sku,
            available=product.stock,
        )


class SkuTaken(Conflict):
    """Another product has this stock-keeping unit."""

    def __init__(self, *skus: str) -> None:
        named = ", ".join(skus) or "of one of these"
        super().__init__(f"There is already a product with the SKU {named}.")


async def create(session: AsyncSession, new: NewProduct) -> Product:
    """Create a product."""
    # With an id from the start, so that it and the record of it are written at once.
    product = Product(id=uuid7(), **new.model_dump())
    session.add(product)
    audit.record(session, "product.created", "product", product.id, after=new.model_dump())
    with refusing("uq_products_sku", SkuTaken(new.sku)):
        await session.flush()
    return product


async def create_all(session: AsyncSession, new: NewProducts) -> Sequence[Product]:
    """Create products, all or none."""
    skus = Counter(item.sku for item in new.items)
    twice = [sku for sku, count in skus.items() if count > 1]
    if known := twice or await repository.taken(session, skus):
        raise SkuTaken(*known)
    created = [Product(id=uuid7(), **item.model_dump()) for item in new.items]
    session.add_all(created)
    for product, item in zip(created, new.items, strict=True):
        after = item.model_dump()
        audit.record(session, "product.created", "product", product.id, after=after)
    with refusing("uq_products_sku", SkuTaken()):
        await session.flush()
    cache.invalidate(session, repository.STATISTICS_TAG)
    return created


async def get(reader: Database | AsyncSession, product_id: UUID) -> Row[Any]:
    """One product."""
    product = await repository.get(reader, product_id)
    if product is None:
        raise ProductNotFound
    return product


async def lock(session: AsyncSession, product_id: UUID) -> Product:
    """One product, locked until the commit."""
    product = await repository.lock(session, product_id)
    if product is None:
        raise ProductNotFound
    return product


async def change(
    session: AsyncSession, product: Product, wanted: ProductChange, expected: Expected = None
) -> Product:
    """Change a locked product, and record the previous values."""
    require(product, expected)
    given = wanted.model_dump(exclude_unset=True)
    changes = {name: value for name, value in given.items() if value != getattr(product, name)}
    before = {name: getattr(product, name) for name in changes}
    for name, value in changes.items():
        setattr(product, name, value)
    with refusing("uq_products_sku", SkuTaken(product.sku)):
        await session.flush()
    if changes:
        audit.record(
            session, "product.changed", "product", product.id, before=before, after=changes
        )
    return product


async def delete(session: AsyncSession, product: Product, expected: Expected = None) -> None:
    """Delete a locked product, which can be restored for a while."""
    require(product, expected)
    before = {name: getattr(product, name) for name in NewProduct.model_fields}
    audit.record(session, "product.deleted", "product", product.id, before=before)
    product.delete()
    await session.flush()


async def restore(session: AsyncSession, product_id: UUID) -> Product:
    """Restore a deleted product, unless another has its SKU by now."""
    product = await repository.lock_deleted(session, product_id)
    if product is None:
        raise ProductNotFound
    product.restore()
    with refusing("uq_products_sku", SkuTaken(product.sku)):
        await session.flush()
    audit.record(session, "product.restored", "product", product.id)
    return product


async def take(session: AsyncSession, wanted: Mapping[UUID, int]) -> Sequence[Product]:
    """Take pieces from the stock, all or none; returns the products, in the order in which they are wanted."""
    products = await repository.lock_all(session, wanted)
    for product_id, quantity in wanted.items():
        product = products.get(product_id)
        if product is None:
            raise UnknownProduct(product_id)
        if product.stock < quantity:
            raise OutOfStock(product)
        product.stock -= quantity
    await session.flush()
    return [products[product_id] for product_id in wanted]


async def give_back(session: AsyncSession, pieces: Mapping[UUID, int]) -> None:
    """Return pieces to the stock, also of products that were deleted and may be restored."""
    found = await repository.lock_all(session, pieces, deleted=True)
    for product_id, product in found.items():
        product.stock += pieces[product_id]
    await session.flush()


@cache.cached(seconds=MINUTE, tags=[repository.STATISTICS_TAG])
async def statistics(database: Database) -> ProductStatistics:
    """Statistics of all products: at most a minute old, and without what an import has changed since."""
    rows = await repository.statistics(database)
    return ProductStatistics.model_validate({"currencies": rows}, from_attributes=True)


async def change_prices(session: AsyncSession, wanted: PriceChange) -> None:
    """Enqueue the price change for all existing products."""
    await enqueue(session, jobs.change_prices, **wanted.model_dump(), until=utc_now())
