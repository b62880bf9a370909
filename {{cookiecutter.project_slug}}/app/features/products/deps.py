"""Dependencies of endpoints."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends

from app.core.db.session import ReadSessionDep, SessionDep
from app.features.products import service
from app.features.products.models import Product


async def get_product(session: ReadSessionDep, product_id: UUID) -> Product:
    """The product that the path names."""
    return await service.get(session, product_id)


async def get_locked_product(session: SessionDep, product_id: UUID) -> Product:
    """The product that the path names, locked until the commit."""
    return await service.get(session, product_id, for_update=True)


ProductOr404 = Annotated[Product, Depends(get_product, scope="function")]
LockedProduct = Annotated[Product, Depends(get_locked_product, scope="function")]
