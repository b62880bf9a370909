"""Requests and responses."""

from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, Field, StringConstraints

from app.core.listing import AtLeast, AtMost, Containing, Deleted, Equal
from app.core.pagination import ListQuery, SortableBy
from app.core.schemas import NOT_BLANK, UNCHANGED, WHOLE, Input, Line, Output, Stored, Text, Version
from app.features.products.models import Product

HIGHEST_PRICE = 10**12
MOST_AT_ONCE = 100
"""How many products one request may create."""

Sku = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9._-]{0,63}$"),
    Field(examples=["TEA-250"], description="Unique; upper-case letters, digits and . _ -"),
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
Stock = Annotated[
    int, Field(ge=0, le=10**9, examples=[40], description="Number of items in stock"), WHOLE
]
Currency = Annotated[
    str, StringConstraints(pattern=r"^[A-Z]{3}$"), Field(description="ISO 4217 code")
]


class NewProduct(Input):
    """A product to create."""

    sku: Sku
    name: Name
    description: Description = ""
    price: Price
    currency: Currency = "EUR"
    stock: Stock = 0


class ProductChange(Input):
    """Changes to a product; omitted fields stay as they are."""

    sku: Sku = UNCHANGED
    name: Name = UNCHANGED
    description: Description = UNCHANGED
    price: Price = UNCHANGED
    currency: Currency = UNCHANGED
    stock: Stock = UNCHANGED


class NewProducts(Input):
    """Products to create together."""

    items: Annotated[list[NewProduct], Field(min_length=1, max_length=MOST_AT_ONCE)] = Field(
        examples=[[{"sku": "CUP-1", "name": "Cup", "price": 990}]]
    )


class PriceChange(Input):
    """A change of all prices in one currency."""

    currency: Currency = Field(examples=["EUR"])
    percent: Annotated[
        int, Field(ge=-99, le=100, examples=[5], description="Negative to lower prices"), WHOLE
    ]


class ProductRead(Stored):
    """A product."""

    version: Version
    sku: str
    name: str
    description: str
    price: int
    currency: str
    stock: int
    created_by: UUID | None = Field(description="The user who created it")
    updated_by: UUID | None = Field(description="The user who last changed it, or ordered it")
    deleted_at: AwareDatetime | None = Field(
        description="When it was deleted; it can be restored for a while"
    )


class CurrencyStatistics(Output):
    """The products in one currency."""

    currency: str
    products: int
    out_of_stock: int
    pieces: int = Field(description="Total number of items in stock")
    value: int = Field(description="Value of the stock, in the currency's smallest unit")


class ProductStatistics(Output):
    """Statistics of all products."""

    currencies: list[CurrencyStatistics]


class ProductsRead(Output):
    """Products that were created together, in the order of the request."""

    items: list[ProductRead]


class ProductQuery(ListQuery):
    """Filters for products."""

    sort: Annotated[
        str, SortableBy(Product.created_at, Product.name, Product.price, Product.sku)
    ] = "-created_at"
    name: Annotated[Line | None, Containing(Product.name)] = Field(
        None,
        max_length=200,
        description="Part of the name, case-insensitive. If few products match, all of them may be read,"
        " which takes about a second per million",
    )
    currency: Annotated[Currency | None, Equal(Product.currency)] = None
    min_price: Annotated[int | None, AtLeast(Product.price)] = Field(None, ge=0, le=HIGHEST_PRICE)
    deleted: Annotated[bool | None, Deleted(Product.deleted_at)] = Field(
        None, description="Only deleted products, which are otherwise hidden"
    )
    max_price: Annotated[int | None, AtMost(Product.price)] = Field(None, ge=0, le=HIGHEST_PRICE)
