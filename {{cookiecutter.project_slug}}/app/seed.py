"""Rows that the service needs, made after the migrations."""

from sqlalchemy.orm import Session

from app.core.db.dialects import dialect_of
from app.core.db.session import unit_of_work
from app.core.service import Service
from app.core.settings import Environment


async def seed(service: Service) -> None:
    """Let every feature make the rows that are missing, and give what was never given."""
    allowed = [permission.value for f in service.features for permission in f.member_permissions]
    async with unit_of_work(service.database) as session:
        await session.run_sync(wait_for_others)
        for feature in service.features:
            if feature.seed:
                await feature.seed(session, allowed)


async def demo(service: Service) -> str:
    """In `local` only, let features make what a developer can try the service out with."""
    if service.settings.environment is not Environment.LOCAL:
        return ""
    async with unit_of_work(service.database) as session:
        await session.run_sync(wait_for_others)
        told = [
            await each.demo(session, service.settings) for each in service.features if each.demo
        ]
    return "".join(told)


def wait_for_others(session: Session) -> None:
    """Several machines may start at once; each finds what the one before it has made."""
    connection = session.connection()
    dialect_of(connection.engine.url).lock(connection)
