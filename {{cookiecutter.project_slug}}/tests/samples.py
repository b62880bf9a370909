"""Example rows in the database of the tests."""

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.functions import count

from app.core.db.base import Base
from app.core.sampling import Sampling
from app.core.settings import Settings
from app.features.users.models import User
from app.tools.sample import sample

Rows = dict[str, dict[str, dict[str, Any]]]


async def fill(settings: Settings, rows: int, seed: int = 0) -> Sampling:
    """Add example rows as the command does."""
    return await sample(settings, rows, seed, ignore)


def ignore(count: int) -> None:
    """For the progress of a command that shows none."""


async def everything(owner: AsyncEngine) -> Rows:
    """All rows of all tables, by table and id."""
    async with owner.connect() as connection:
        found = {
            name: (await connection.execute(select(table))).mappings().all()
            for name, table in Base.metadata.tables.items()
        }
    return {name: {str(row["id"]): {**row} for row in rows} for name, rows in found.items()}


async def count_users(owner: AsyncEngine) -> int:
    """How many users there are so far."""
    async with owner.connect() as connection:
        return await connection.scalar(select(count()).select_from(User)) or 0


def counted(rows: Rows) -> dict[str, int]:
    """How many rows the tables have that have any."""
    return {name: len(found) for name, found in rows.items() if found}


async def empty(owner: AsyncEngine, rows: Rows) -> None:
    """Delete these rows."""
    async with owner.connect() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            ids = [row["id"] for row in rows[table.name].values()]
            await connection.execute(delete(table).where(table.c.id.in_(ids)))


def without(rows: Rows, others: Rows) -> Rows:
    """The rows that are not among the others."""
    return {
        name: {key: row for key, row in found.items() if key not in others[name]}
        for name, found in rows.items()
    }
