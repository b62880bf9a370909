"""How the service behaves when its connections die, whatever the database."""

from collections.abc import Awaitable, Callable

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text

from app.core.db import engine as engine_module
from app.core.db.errors import DatabaseUnavailable
from app.core.db.session import Database, reading

Kill = Callable[[], Awaitable[None]]


async def assert_told_and_replaced(database: Database, client: AsyncClient, kill: Kill) -> None:
    """Whoever loses a connection under way learns of it; the next request has a new one."""
    with pytest.raises(DatabaseUnavailable):
        async with reading(database) as session:
            await session.execute(text("SELECT 1"))
            await kill()
            await session.execute(text("SELECT 1"))

    assert (await client.get("/health/ready")).status_code == 200


async def assert_replaced_unnoticed(
    client: AsyncClient, kill: Kill, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that died while nobody used it is tested before it is given out."""
    monkeypatch.setattr(engine_module, "IDLE_SECONDS", 0)
    assert (await client.get("/health/ready")).status_code == 200

    await kill()

    assert (await client.get("/health/ready")).status_code == 200
