"""Products."""

from typing import Any, ClassVar

import strawberry
from strawberry import relay

from app.core.routing import CUSTOMER, About
from app.core.security.access import Can
from app.features.graphql.context import Info
from app.features.graphql.fields import field
from app.features.graphql.nodes import Identified, one, uuid_of
from app.features.graphql.pages import connection
from app.features.graphql.schemas import (
    UNSET,
    BigInt,
    accepts,
    checked,
    expected,
    filters,
    given,
    shows,
    valid,
)
from app.features.products import repository, schemas, service
from app.features.products.permissions import ProductPermission

read_products, write_products = Can(ProductPermission.READ), Can(ProductPermission.WRITE)


@shows(schemas.ProductRead)
class Product(Identified):
    access: ClassVar[Any] = read_products
    about: ClassVar[About] = CUSTOMER
    get = service.get

    price: BigInt = strawberry.field(description="In the currency's smallest unit")


@filters(schemas.ProductQuery)
class ProductFilter:
    min_price: BigInt | None = UNSET
    max_price: BigInt | None = UNSET


@accepts(schemas.NewProduct)
class NewProduct:
    price: BigInt = strawberry.field(description="In the currency's smallest unit")


@accepts(schemas.NewProducts)
class NewProducts:
    items: list[NewProduct]


@accepts(schemas.ProductChange)
class ProductChange:
    price: BigInt | None = UNSET


@accepts(schemas.PriceChange)
class PriceChange: ...


@strawberry.type
class Query:
    product = one(Product, "Get a product.")
    products = connection(
        Product,
        schemas.ProductQuery,
        repository.page,
        access=read_products,
        about=CUSTOMER,
        filters=ProductFilter,
        description="List products, newest first by default.",
    )


@strawberry.type
class Mutation:
    @field(write_products, CUSTOMER)
    async def create_product(self, info: Info, input: NewProduct) -> Product:
        """Create a product."""
        new = checked(schemas.NewProduct, input)
        async with info.context.unit_of_work() as session:
            return Product.of(await service.create(session, new))

    @field(write_products, CUSTOMER)
    async def update_product(
        self, info: Info, id: relay.GlobalID, input: ProductChange, if_version: int | None = None
    ) -> Product:
        """Update the given fields of a product, if it has this version."""
        wanted = checked(schemas.ProductChange, input)
        async with info.context.unit_of_work() as session:
            product = await service.lock(session, uuid_of(Product, id))
            changed = await service.change(session, product, wanted, expected(if_version))
            return Product.of(changed)

    @field(write_products, CUSTOMER)
    async def create_products(self, info: Info, input: NewProducts) -> list[Product]:
        """Create up to 100 products, all or none."""
        new = valid(schemas.NewProducts, {"items": [given(each) for each in input.items]})
        async with info.context.unit_of_work() as session:
            return [Product.of(each) for each in await service.create_all(session, new)]

    @field(write_products, CUSTOMER)
    async def restore_product(self, info: Info, id: relay.GlobalID) -> Product:
        """Restore a deleted product."""
        async with info.context.unit_of_work() as session:
            return Product.of(await service.restore(session, uuid_of(Product, id)))

    @field(write_products, CUSTOMER)
    async def delete_product(
        self, info: Info, id: relay.GlobalID, if_version: int | None = None
    ) -> relay.GlobalID:
        """Delete a product, if it has this version. It can be restored for a while."""
        async with info.context.unit_of_work() as session:
            product = await service.lock(session, uuid_of(Product, id))
            await service.delete(session, product, expected(if_version))
        return id

    @field(write_products, CUSTOMER)
    async def change_prices(self, info: Info, input: PriceChange) -> bool:
        """Raise or lower all prices in one currency by a percentage, in the background."""
        wanted = checked(schemas.PriceChange, input)
        async with info.context.unit_of_work() as session:
            await service.change_prices(session, wanted)
        return True
