import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.db.session import Database
from app.core.settings import Settings
from tests.samples import fill

COUNTS = {
    "SELECT COUNT(*) FROM products": 40,
    "SELECT COUNT(DISTINCT sku) FROM products": 40,
    "SELECT COUNT(*) FROM orders": 40,
    "SELECT COUNT(*) FROM orders o JOIN users u ON u.id = o.buyer_id": 40,
    "SELECT COUNT(DISTINCT order_id) FROM order_lines": 40,
    "SELECT COUNT(*) FROM orders WHERE state = 'pending'": 0,
    "SELECT COUNT(*) FROM orders o WHERE total <>"
    " (SELECT SUM(price * quantity) FROM order_lines WHERE order_id = o.id)": 0,
    "SELECT COUNT(*) FROM order_lines l WHERE NOT EXISTS (SELECT 1 FROM products p WHERE p.id = l.product_id"
    " AND p.sku = l.sku AND p.name = l.name AND p.price = l.price)": 0,
}


@pytest.mark.timeout(120)
async def test_sample_orders_are_of_sample_users_for_sample_products(
    committed_db: Database, settings: Settings, owner: AsyncEngine
) -> None:
    await fill(settings, 40)

    async with owner.connect() as connection:
        assert {
            statement: await connection.scalar(text(statement)) for statement in COUNTS
        } == COUNTS
