"""Seed data, created after the migrations."""

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from app.core.db.dialects import dialect_of
from app.core.db.session import unit_of_work
from app.core.service import Service
from app.core.settings import Environment


async def seed(service: Service) -> None:
    """Have every feature create its missing rows, and grant permissions that are new."""
    async with unit_of_work(service.database) as session:
        await session.run_sync(wait_for_others)
        await fill(session, service)


async def fill(session: AsyncSession, service: Service) -> None:
    """The same, in this session, which is the only one that does so now."""
    allowed = [permission.value for f in service.features for permission in f.member_permissions]
    for feature in service.features:
        if feature.seed:
            await feature.seed(session, allowed)


async def demo(service: Service) -> str:
    """In `local` only, have features create demo data; returns what to print for the developer."""
    if service.settings.environment is not Environment.LOCAL:
        return ""
    async with unit_of_work(service.database) as session:
        await session.run_sync(wait_for_others)
        told = [
            await each.demo(session, service.settings) for each in service.features if each.demo
        ]
    return "".join(told)


def wait_for_others(session: Session) -> None:
    """Seed in one process at a time: several machines may start at once."""
    connection = session.connection()
    dialect_of(connection.engine.url).lock(connection)
