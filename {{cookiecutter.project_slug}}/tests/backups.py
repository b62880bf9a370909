"""A backup is restored into another database: everything is there, and everything holds."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import URL, pool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from app.core.db import migrations
from app.core.db.engine import create_engine
from app.core.settings import Settings
from conftest import PASSWORD, client_of
from tests.inline import database_of, filled
from tests.retention import note
from tests.samples import everything, fill

ROWS = 30
REGISTRATION = {"email": "ada@example.com", "password": PASSWORD}
Back = Callable[[URL, URL], None]


async def assert_a_backup_restores_everything(
    app: FastAPI, settings: Settings, old: URL, new: URL, back: Back, described: Sequence[str]
) -> None:
    """Fill the old database, dump and restore it, and use the new one; `described` reads what else a database has."""
    before, after = (settings.model_copy(update={"database_url": url}) for url in (old, new))
    await asyncio.to_thread(migrations.upgrade, before)
    await filled(before)
    await fill(before, ROWS)
    await note(before, {"kept": 0})
    expected = [await contents(old, described), await rows(old)]

    await asyncio.to_thread(back, old, new)
    await asyncio.to_thread(migrations.upgrade, after)
    await asyncio.to_thread(migrations.check, after)

    assert [await contents(new, described), await rows(new)] == expected
    await assert_the_service_works(app, after)
    await assert_the_log_is_kept(after)


async def contents(url: URL, described: Sequence[str]) -> list[Any]:
    """What the statements read: policies, triggers, rights."""
    engine = create_async_engine(url, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        found = [(await connection.execute(text(each))).all() for each in described]
    await engine.dispose()
    return found


async def rows(url: URL) -> dict[str, Any]:
    """All rows of all tables."""
    engine = create_async_engine(url, poolclass=pool.NullPool)
    found = await everything(engine)
    await engine.dispose()
    assert len(found["users"]) >= ROWS
    return found


async def assert_the_service_works(app: FastAPI, settings: Settings) -> None:
    """On the restored database it is ready, and writes."""
    engine = create_engine(settings)
    async with client_of(app, database_of(engine, settings), settings) as client:
        assert (await client.get("/health/ready")).json()["checks"] == {"database": "ok"}
        assert (await client.post("/api/v1/auth/register", json=REGISTRATION)).status_code == 202
    await engine.dispose()


async def assert_the_log_is_kept(settings: Settings) -> None:
    """The restored audit log can be added to, and not changed."""
    engine = create_engine(settings)
    for change in ("UPDATE audit_events SET action = 'x'", "DELETE FROM audit_events"):
        async with engine.connect() as connection:
            with pytest.raises(DBAPIError, match=r"kept for|denied"):
                await connection.execute(text(change))
    await engine.dispose()
    assert await note(settings, {"added": 0}) == {"kept", "added"}
