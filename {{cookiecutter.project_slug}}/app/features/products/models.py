"""Tables."""

from sqlalchemy import BigInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db.authors import Authored
from app.core.db.deletion import Restorable
from app.core.db.resource import Resource
from app.core.db.versions import Versioned


class Product(Versioned, Restorable, Authored, Resource):
    """A product for sale."""

    __tablename__ = "products"
    __table_args__ = (
        Resource.unique("sku", "live", name="uq_products_sku"),
        Resource.index("created_at", "id", name="ix_products_created_at"),
        Resource.index("sku", "id", name="ix_products_sku"),
        Resource.index("name", "id", name="ix_products_name"),
        Resource.index("price", "id", name="ix_products_price"),
    )

    sku: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text)
    price: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    stock: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
