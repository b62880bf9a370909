"""Query plans of PostgreSQL for one tenant among many."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.core.db.session import Database, reading, unit_of_work
from app.core.db.tenancy import gate
from app.core.settings import Settings
from app.core.tenancy import within
from app.features.products import repository
from app.features.products.models import Product
from app.features.products.schemas import ProductQuery
from app.features.tenants.models import Tenant


@pytest.fixture(autouse=True)
def needs_postgresql(settings: Settings) -> None:
    """These tests are about PostgreSQL alone."""
    assert settings.database_url
    if settings.database_url.get_backend_name() != "postgresql":
        pytest.skip("TEST_DATABASE_URL names another database")


async def fill(database: Database, count: int) -> list[UUID]:
    """Some tenants with so many products each."""
    async with unit_of_work(database) as session:
        tenants = [Tenant(name=str(number)) for number in range(10)]
        session.add_all(tenants)
    for tenant in tenants:
        with within(tenant.id):
            async with unit_of_work(database) as session:
                session.add_all(
                    Product(sku=str(n), name="x", description="", price=n, currency="EUR")
                    for n in range(count)
                )
    return [tenant.id for tenant in tenants]


async def test_without_a_tenant_the_table_is_empty(committed_db: Database) -> None:
    """The same holds for the service's own role, in case the other layers are bypassed."""
    tenants = await fill(committed_db, 3)
    everything = text("SELECT * FROM products")
    async with reading(committed_db) as session:
        with gate.vouching():
            assert (await session.execute(everything)).all() == []
    with within(tenants[0]):
        async with reading(committed_db) as session:
            with gate.vouching():
                assert len((await session.execute(everything)).all()) == 3


async def test_lists_and_details_use_an_index_of_the_tenant(
    committed_db: Database, owner: AsyncEngine
) -> None:
    tenants = await fill(committed_db, 500)
    async with owner.connect() as connection:
        await connection.execute(text("ANALYZE products"))
    plans: list[str] = []
    with within(tenants[3]):
        async with reading(committed_db) as session:
            connection = await session.connection()
            listing = select(Product).order_by(Product.created_at.desc(), Product.id.desc())
            for statement in (listing.limit(20), select(Product).where(Product.id == tenants[0])):
                narrowed = statement.where(Product.tenant_id == tenants[3])
                sql = narrowed.compile(
                    dialect=owner.dialect, compile_kwargs={"literal_binds": True}
                )
                with gate.vouching():
                    rows = await connection.execute(text(f"EXPLAIN {sql}"))
                plans.append("\n".join(row[0] for row in rows))

    assert "ix_products_created_at" in plans[0], plans[0]
    assert "Sort" not in plans[0]
    assert "Index" in plans[1], plans[1]
    assert "Seq Scan" not in "".join(plans)


@contextmanager
def selects(engine: AsyncEngine) -> Generator[list[tuple[str, Any]]]:
    """The statements executed meanwhile, with their parameters."""
    asked: list[tuple[str, Any]] = []

    def note(_: object, __: object, statement: str, parameters: object, *rest: object) -> None:
        asked.append((statement, parameters))

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    yield asked
    event.remove(engine.sync_engine, "before_cursor_execute", note)


async def plan_of(session: AsyncSession, statement: str, parameters: object) -> str:
    """The plan of the database for this statement."""
    connection = await session.connection()
    with gate.vouching():
        rows = await connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)  # pyright: ignore[reportArgumentType]
    return "\n".join(row[0] for row in rows)


async def test_no_page_in_any_order_sorts_the_products_of_a_tenant(
    committed_db: Database, engine: AsyncEngine, owner: AsyncEngine, subtests: pytest.Subtests
) -> None:
    tenant, *_ = await fill(committed_db, 3)
    many = [
        {"sku": f"X-{n}", "name": f"{n}", "description": "", "price": n, "currency": "EUR"}
        for n in range(10_000)
    ]
    with within(tenant):
        async with unit_of_work(committed_db) as session:
            await session.execute(insert(Product), many)
        async with owner.connect() as connection:
            await connection.execute(text("ANALYZE products"))
        for order in [
            sign + field for field in ProductQuery.sortable.columns for sign in ("", "-")
        ]:
            with subtests.test(order), selects(engine) as asked:
                async with reading(committed_db) as session:
                    query = ProductQuery.model_validate({"sort": order})
                    first = await repository.page(session, query)
                    query = query.model_copy(update={"cursor": first.next_cursor})
                    await repository.page(session, query)
                    pages = [each for each in asked if "ORDER BY" in each[0]]
                    assert len(pages) == 2
                    for page in pages:
                        assert_in_order(await plan_of(session, *page), unique="sku" in order)


def assert_in_order(plan: str, *, unique: bool) -> None:
    """An index provides the order. With a unique column no ties are left to sort."""
    nodes = set(re.findall(r"(\w+ Sort|Sort|Seq Scan|Index Scan)\b[\w ]*\(cost", plan))
    assert "Index Scan" in plan, plan
    assert nodes <= ({"Index Scan", "Incremental Sort"} if unique else {"Index Scan"}), plan
