"""Requests and responses."""

from typing import Annotated

from pydantic import Field, StringConstraints

from app.core.pagination import ListQuery
from app.core.schemas import Input, Line, Stored, Text

Sku = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9._-]{0,63}$")]
Name = Annotated[Line, StringConstraints(min_length=1, max_length=200)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class NewProduct(Input):
    """A product to be added."""

    sku: Sku = Field(examples=["TEA-250"], description="Unique; capitals, digits and . _ -")
    name: Name = Field(examples=["Green tea, 250 g"])
    description: Annotated[Text, StringConstraints(max_length=10_000)] = ""
    price: int = Field(
        ge=0, le=10**12, examples=[1250], description="In the currency's smallest unit"
    )
    currency: Currency = Field("EUR", description="ISO 4217 code")


class ProductRead(Stored):
    """A product."""

    sku: str
    name: str
    description: str
    price: int
    currency: str


class ProductQuery(ListQuery):
    """Which products to list."""

    name: Line | None = Field(None, max_length=200, description="Part of the name")
    currency: Currency | None = None
    min_price: int | None = Field(None, ge=0, le=10**12)
    max_price: int | None = Field(None, ge=0, le=10**12)
