"""Dependencies of endpoints."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends
from sqlalchemy import Row

from app.core.db.session import DatabaseDep, SessionDep
from app.features.products import service
from app.features.products.models import Product


async def get_product(database: DatabaseDep, product_id: UUID) -> Row[Any]:
    """The product that the path names."""
    return await service.get(database, product_id)


async def get_locked_product(session: SessionDep, product_id: UUID) -> Product:
    """The product that the path names, locked until the commit."""
    return await service.lock(session, product_id)


ProductOr404 = Annotated[Row[Any], Depends(get_product)]
LockedProduct = Annotated[Product, Depends(get_locked_product, scope="function")]
