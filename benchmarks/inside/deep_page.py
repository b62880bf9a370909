"""A page deep in the list of products in this order: its cursor, the id that it starts with, and its plan, as JSON.

The cursor is the one that the service gives at the end of the page before.
"""

import asyncio
import json
import sys

from app.core.db.session import reading
from app.core.listing import Shape
from app.core.pagination import Part, order_by, page_of, place_of
from app.core.service import Service
from app.core.settings import Settings
from app.features.products.models import Product
from app.features.products.repository import PRODUCTS
from app.features.products.schemas import ProductQuery
from app.service import running
from sqlalchemy import select


async def cursor_of(service: Service, sort: str, number: int) -> tuple[str, str]:
    """The cursor of this page, and the id of its first product."""
    query = ProductQuery(limit=1, sort=sort)
    skipped = (number - 1) * ProductQuery(sort=sort).limit
    around = select(Product).order_by(*order_by(query)).offset(skipped - 1).limit(2)
    async with reading(service.database) as session:
        rows = (await session.scalars(around)).all()
    return page_of(rows, query, service.keys[0], None).next_cursor or "", str(rows[1].id)


async def plan_of(service: Service, sort: str, cursor: str) -> list[str]:
    """How the database executes the statement of the page at this cursor."""
    query = ProductQuery(sort=sort, cursor=cursor)
    terms = ",".join(query.sort_terms().values())
    shape = Shape(terms, (), Part(placed=True), skips=False, backwards=False, usual=True)
    values = {"limit": query.limit + 1} | place_of(query, service.keys)
    async with reading(service.database) as session:
        connection = await session.connection()
        statement = PRODUCTS.statement(shape).params(values)
        sql = statement.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
        return [*(await connection.exec_driver_sql(f"EXPLAIN (COSTS OFF) {sql}")).scalars()]


async def main(sort: str, number: int) -> None:
    """Print it."""
    async with running(Settings(), work=False) as service:
        cursor, first = await cursor_of(service, sort, number)
        plan = await plan_of(service, sort, cursor)
    print(json.dumps({"cursor": cursor, "first": first, "plan": plan}))


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
