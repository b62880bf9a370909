"""Parts of a text are found by an index, where PostgreSQL has `pg_trgm` and no policy forbids its use."""

import asyncio
import logging
from collections.abc import AsyncGenerator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.db import migrations
from app.core.db.dialects import postgresql
from app.core.db.dialects.access import Access
from app.core.listing import Shape
from app.core.pagination import Part
from app.core.settings import Settings
from app.features.products.repository import PRODUCTS
from conftest import Account
from tests.inline import filled

INDEX = "parts_of_products_name"
INDEXES = text("SELECT indexname FROM pg_indexes WHERE tablename = 'products' ORDER BY indexname")
MANY = """
INSERT INTO products ([columns])
SELECT [values] FROM products, generate_series(1, 100000) AS number
"""


async def indexes(owner: AsyncEngine) -> set[str]:
    """The names of the indexes of products."""
    async with owner.connect() as connection:
        return set(await connection.scalars(INDEXES))


@pytest.fixture
async def indexed(settings: Settings, owner: AsyncEngine) -> AsyncGenerator[None]:
    """Products without policies, and a database that was upgraded since."""
    if owner.dialect.name != "postgresql":
        pytest.skip("TEST_DATABASE_URL names another database")
    async with owner.connect() as connection:
        names = await connection.scalars(text("SELECT name FROM pg_available_extensions"))
        if "pg_trgm" not in names:
            pytest.skip("this server does not have pg_trgm")
        await connection.exec_driver_sql("ALTER TABLE products DISABLE ROW LEVEL SECURITY")
    await asyncio.to_thread(migrations.upgrade, settings)
    yield
    await asyncio.to_thread(migrations.downgrade, settings, "base")
    await asyncio.to_thread(migrations.upgrade, settings)
    await filled(settings)


async def fill(owner: AsyncEngine) -> None:
    """A hundred thousand products like the one that there is, with other names."""
    values = {column.name: column.name for column in PRODUCTS.model.__table__.columns}
    values |= {
        "id": "gen_random_uuid()",
        "sku": "'SKU-' || number",
        "name": "md5(number::text)",
        "created_at": "created_at - number * interval '1 second'",
    }
    columns = [name for name in values if name != "live"]  # which is computed
    sql = MANY.replace("[columns]", ", ".join(columns))
    async with owner.connect() as connection:
        await connection.exec_driver_sql(
            sql.replace("[values]", ", ".join(values[name] for name in columns))
        )
        await connection.exec_driver_sql("ANALYZE products")


async def plan_of(owner: AsyncEngine, name: str) -> str:
    """The plan of the first page of the products whose names have this part."""
    shape = Shape("-created_at,-id", (("name", 1),), Part(), False, False, False)
    compiled = PRODUCTS.build(shape).compile(dialect=owner.dialect)
    values = {"name": name, "limit": 21}
    async with owner.connect() as connection:
        rows = await connection.exec_driver_sql(
            f"EXPLAIN {compiled}", tuple(values[each] for each in compiled.positiontup or ())
        )
        return "\n".join(row[0] for row in rows)


async def test_a_part_of_a_name_is_found_by_the_index(
    indexed: None, owner: AsyncEngine, committed_admin: Account
) -> None:
    new = {"sku": "TEA", "name": "Green tea", "price": 1}
    assert (await committed_admin.client.post("/api/v1/products", json=new)).status_code == 201
    await fill(owner)

    for part in ("green", "d5e0f", "EEN T", "een/ t"):
        assert f"Index Scan on {INDEX}" in await plan_of(owner, part), part
    found = await committed_admin.client.get("/api/v1/products", params={"name": "EEN T"})
    assert [each["name"] for each in found.json()["items"]] == ["Green tea"]


async def test_it_is_created_once_and_is_no_difference_from_the_models(
    indexed: None, settings: Settings, owner: AsyncEngine
) -> None:
    before = await indexes(owner)
    await asyncio.to_thread(migrations.upgrade, settings)
    await asyncio.to_thread(migrations.check, settings)

    assert INDEX in before == await indexes(owner)


async def test_the_table_is_dropped_with_it(
    indexed: None, settings: Settings, owner: AsyncEngine
) -> None:
    await asyncio.to_thread(migrations.downgrade, settings, "base")
    assert await indexes(owner) == set()

    await asyncio.to_thread(migrations.upgrade, settings)
    await asyncio.to_thread(migrations.check, settings)


async def test_where_policies_apply_there_is_none(
    indexed: None, settings: Settings, owner: AsyncEngine
) -> None:
    async with owner.connect() as connection:
        await connection.exec_driver_sql(f"DROP INDEX {INDEX}")
        await connection.exec_driver_sql("ALTER TABLE products ENABLE ROW LEVEL SECURITY")
    await asyncio.to_thread(migrations.upgrade, settings)

    assert INDEX not in await indexes(owner)


async def test_without_the_right_an_administrator_is_asked(
    indexed: None, settings: Settings, owner: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """The migration continues, and finds the index missing the next time."""
    access = Access(settings.database_role, None, ["products"], {}, [("products", "name")])
    async with owner.connect() as connection:
        await connection.exec_driver_sql("DROP EXTENSION pg_trgm CASCADE")
    async with owner.connect() as connection:
        await connection.execution_options(isolation_level="READ COMMITTED")
        await connection.exec_driver_sql(f"SET ROLE {settings.database_role}")
        with caplog.at_level(logging.WARNING):
            await connection.run_sync(postgresql.index_text, access)
        assert await connection.scalar(text("SELECT count(*) FROM products")) == 0
        await connection.rollback()
    assert "run CREATE EXTENSION pg_trgm" in caplog.text
    assert INDEX not in await indexes(owner)

    await asyncio.to_thread(migrations.upgrade, settings)
    assert INDEX in await indexes(owner)
