"""Tables."""

from sqlalchemy import BigInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db.resource import Resource, index, unique


class Product(Resource):
    """A product for sale."""

    __tablename__ = "products"
    __table_args__ = (
        unique("sku", name="uq_products_sku"),
        index("created_at", "id", name="ix_products_created_at"),
        index("name", "id", name="ix_products_name"),
        index("price", "id", name="ix_products_price"),
    )

    sku: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text)
    price: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
