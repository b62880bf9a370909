"""Endpoints."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from sqlalchemy import Row

from app.core.conditions import CHANGED, KNOWN, ReadConditions, WriteConditions
from app.core.db.session import DatabaseDep, SessionDep
from app.core.openapi import problems
from app.core.pagination import Found, Page
from app.core.routing import CUSTOMER, router as new_router
from app.core.security.access import Can
from app.features.idempotency import idempotent
from app.features.products import repository, service
from app.features.products.deps import LockedProduct, ProductOr404
from app.features.products.models import Product
from app.features.products.permissions import ProductPermission
from app.features.products.schemas import (
    NewProduct,
    NewProducts,
    PriceChange,
    ProductChange,
    ProductQuery,
    ProductRead,
    ProductsRead,
    ProductStatistics,
)

products = new_router("/products", tag="products", about=CUSTOMER)
prices = new_router("/price-changes", tag="products", about=CUSTOMER)
statistics = new_router("/product-statistics", tag="products", about=CUSTOMER)
imports = new_router("/product-imports", tag="products", about=CUSTOMER)

NOT_FOUND = problems({404: "No such product"})
TAKEN = problems({409: "The SKU is taken"})


@products.post(
    "",
    status_code=201,
    response_model=ProductRead,
    dependencies=[Can(ProductPermission.WRITE)],
    responses=TAKEN,
)
async def create_product(session: SessionDep, new: NewProduct, response: Response) -> Product:
    """Create a product."""
    product = await service.create(session, new)
    response.headers["Location"] = f"{products.prefix}/{product.id}"
    return product


@products.get(
    "/{product_id}",
    response_model=ProductRead,
    dependencies=[Can(ProductPermission.READ)],
    responses=NOT_FOUND | KNOWN,
)
async def get_product(product: ProductOr404, conditions: ReadConditions) -> Row[Any]:
    """Get a product."""
    return conditions.show(product)


@products.get("", response_model=Page[ProductRead], dependencies=[Can(ProductPermission.READ)])
async def list_products(
    database: DatabaseDep, query: Annotated[ProductQuery, Depends(ProductQuery.requested)]
) -> Found[Row[Any]]:
    """List products, newest first by default.

    Sorting by one field uses an index. Filters scan product by product until the page is full.
    """
    return await repository.page(database, query)


@products.patch(
    "/{product_id}",
    response_model=ProductRead,
    dependencies=[Can(ProductPermission.WRITE)],
    responses=NOT_FOUND | TAKEN | CHANGED,
)
async def change_product(
    session: SessionDep, product: LockedProduct, conditions: WriteConditions, wanted: ProductChange
) -> Product:
    """Update the given fields of a product."""
    return conditions.show(await service.change(session, product, wanted, conditions.expected))


@products.delete(
    "/{product_id}",
    status_code=204,
    dependencies=[Can(ProductPermission.WRITE)],
    responses=NOT_FOUND | CHANGED,
)
async def delete_product(
    session: SessionDep, product: LockedProduct, conditions: WriteConditions
) -> None:
    """Delete a product. It can be restored for a while; its SKU can be reused immediately."""
    await service.delete(session, product, conditions.expected)


@products.post(
    "/{product_id}/restore",
    response_model=ProductRead,
    dependencies=[Can(ProductPermission.WRITE)],
    responses=problems({404: "No such deleted product"}) | TAKEN,
)
async def restore_product(session: SessionDep, product_id: UUID) -> Product:
    """Restore a deleted product."""
    return await service.restore(session, product_id)


@imports.post(
    "",
    status_code=201,
    response_model=ProductsRead,
    dependencies=[Can(ProductPermission.WRITE), idempotent],
    responses=TAKEN,
)
async def create_products(session: SessionDep, new: NewProducts) -> dict[str, Sequence[Product]]:
    """Create up to 100 products, all or none."""
    return {"items": await service.create_all(session, new)}


@statistics.get("", dependencies=[Can(ProductPermission.READ)])
async def get_statistics(database: DatabaseDep) -> ProductStatistics:
    """Get statistics of all products, by currency.

    Up to a minute old; imports and bulk price changes show immediately.
    """
    return await service.statistics(database)


@prices.post("", status_code=202, dependencies=[Can(ProductPermission.WRITE), idempotent])
async def change_prices(session: SessionDep, wanted: PriceChange) -> PriceChange:
    """Raise or lower all prices in one currency by a percentage, in the background.

    Rounded to the nearest unit, halves up, and capped at 10^12; products created later are unaffected.
    """
    await service.change_prices(session, wanted)
    return wanted


router = APIRouter()
router.include_router(products)
router.include_router(prices)
router.include_router(statistics)
router.include_router(imports)
