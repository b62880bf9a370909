"""Endpoints."""

from typing import Annotated

from fastapi import Query, Response

from app.core.db.session import ReadSessionDep, SessionDep
from app.core.openapi import problems
from app.core.pagination import Found, Page
from app.core.routing import router as new_router
from app.core.security.access import Can
from app.features.products import service
from app.features.products.deps import ProductOr404
from app.features.products.models import Product
from app.features.products.permissions import ProductPermission
from app.features.products.schemas import NewProduct, ProductQuery, ProductRead

router = new_router("/products", tag="products")


@router.post(
    "",
    status_code=201,
    response_model=ProductRead,
    dependencies=[Can(ProductPermission.WRITE)],
    responses=problems({409: "The SKU is taken"}),
)
async def create_product(session: SessionDep, new: NewProduct, response: Response) -> Product:
    """Add a product."""
    product = await service.create(session, new)
    response.headers["Location"] = f"{router.prefix}/{product.id}"
    return product


@router.get(
    "/{product_id}",
    response_model=ProductRead,
    dependencies=[Can(ProductPermission.READ)],
    responses=problems({404: "No such id"}),
)
async def get_product(product: ProductOr404) -> Product:
    """One product."""
    return product


@router.get("", response_model=Page[ProductRead], dependencies=[Can(ProductPermission.READ)])
async def list_products(
    session: ReadSessionDep, query: Annotated[ProductQuery, Query()]
) -> Found[Product]:
    """Products, newest first unless asked otherwise."""
    return await service.page(session, query)
