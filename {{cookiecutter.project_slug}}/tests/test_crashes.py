"""A process that is killed while it places an order has placed it, or has not; a retry places it once."""

from asyncio import to_thread
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from app.core.db.base import utc_now
from app.core.db.session import Database, unit_of_work
from app.core.settings import Settings
from app.features.idempotency.models import IdempotencyKey
from app.features.orders.tests.steps import ORDERS, kind, left, stocked
from conftest import Account
from tests.crashes import killed
from tests.dying import STEPS

HEADER = "Idempotency-Key"


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("step", STEPS)
async def test_a_killed_order_is_placed_once(
    committed_admin: Account,
    committed_db: Database,
    settings: Settings,
    project_root: Path,
    step: str,
) -> None:
    client = committed_admin.client
    tea = await stocked(committed_admin, 5)
    order = {"lines": [{"product_id": tea["id"], "quantity": 2}]}
    headers = {HEADER: "a-key", "Authorization": client.headers["Authorization"]}
    assert settings.database_url
    assert settings.secret_key
    given = {
        "step": step,
        "database": settings.database_url.render_as_string(hide_password=False),
        "secret": settings.secret_key.get_secret_value(),
        "order": order,
        "headers": headers,
    }
    await to_thread(killed, "tests.dying", given, project_root)
    done = step == "committed"
    assert await left(committed_admin, tea) == (3 if done else 5)

    at_once = await client.post(ORDERS, json=order, headers={HEADER: "a-key"})
    if done:
        assert at_once.headers["Idempotent-Replayed"] == "true"
    else:
        assert kind(at_once) == (409, "request-in-progress")
    async with unit_of_work(committed_db) as session:
        statement = update(IdempotencyKey).values(leased_until=utc_now() - timedelta(seconds=1))
        await session.execute(statement, execution_options={"synchronize_session": False})
    again = [await client.post(ORDERS, json=order, headers={HEADER: "a-key"}) for _ in range(2)]

    assert [each.status_code for each in again] == [201, 201]
    assert len({each.json()["id"] for each in again}) == 1
    assert await left(committed_admin, tea) == 3
    listed = (await client.get(ORDERS)).json()["items"]
    assert len(listed) == 1
