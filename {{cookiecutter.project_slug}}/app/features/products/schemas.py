"""Requests and responses."""

from typing import Annotated

from pydantic import Field, StringConstraints

from app.core.pagination import ListQuery, SortableBy
from app.core.schemas import NOT_BLANK, UNCHANGED, WHOLE, Input, Line, Stored, Text
from app.features.products.models import Product

HIGHEST_PRICE = 10**12

Sku = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9._-]{0,63}$"),
    Field(examples=["TEA-250"], description="Unique; capitals, digits and . _ -"),
]
Name = Annotated[
    Line, StringConstraints(max_length=200), NOT_BLANK, Field(examples=["Green tea, 250 g"])
]
Description = Annotated[Text, StringConstraints(max_length=10_000)]
Price = Annotated[
    int,
    Field(ge=0, le=HIGHEST_PRICE, examples=[1250], description="In the currency's smallest unit"),
    WHOLE,
]
Currency = Annotated[
    str, StringConstraints(pattern=r"^[A-Z]{3}$"), Field(description="ISO 4217 code")
]


class NewProduct(Input):
    """A product to be added."""

    sku: Sku
    name: Name
    description: Description = ""
    price: Price
    currency: Currency = "EUR"


class ProductChange(Input):
    """What to change of a product; what is left out stays as it is."""

    sku: Sku = UNCHANGED
    name: Name = UNCHANGED
    description: Description = UNCHANGED
    price: Price = UNCHANGED
    currency: Currency = UNCHANGED


class PriceChange(Input):
    """By how much to raise or lower all prices in one currency."""

    currency: Currency = Field(examples=["EUR"])
    percent: Annotated[
        int, Field(ge=-99, le=100, examples=[5], description="Below 0 lowers them"), WHOLE
    ]


class ProductRead(Stored):
    """A product."""

    sku: str
    name: str
    description: str
    price: int
    currency: str


class ProductQuery(ListQuery):
    """Which products to list."""

    sort: Annotated[
        str, SortableBy(Product.created_at, Product.name, Product.price, Product.sku)
    ] = "-created_at"
    name: Line | None = Field(
        None,
        max_length=200,
        description="Part of the name, in small or capital letters. No index helps: when few products match,"
        " every one is read, a second for each million",
    )
    currency: Currency | None = None
    min_price: int | None = Field(None, ge=0, le=HIGHEST_PRICE)
    max_price: int | None = Field(None, ge=0, le=HIGHEST_PRICE)
