"""Rows that the service needs, made after the migrations."""

from sqlalchemy.orm import Session

from app.core.db.dialects import dialect_of
from app.core.db.session import connect, unit_of_work
from app.core.settings import Environment, Settings
from app.installed import FEATURES


async def seed(settings: Settings) -> None:
    """Let every feature make the rows that are missing, and give what was never given."""
    allowed = [permission.value for f in FEATURES for permission in f.member_permissions]
    async with connect(settings, {}) as database, unit_of_work(database) as session:
        await session.run_sync(wait_for_others)
        for feature in FEATURES:
            if feature.seed:
                await feature.seed(session, allowed)


async def demo(settings: Settings) -> str:
    """In `local` only, let features make what a developer can try the service out with."""
    if settings.environment is not Environment.LOCAL:
        return ""
    async with connect(settings, {}) as database, unit_of_work(database) as session:
        await session.run_sync(wait_for_others)
        told = [await feature.demo(session, settings) for feature in FEATURES if feature.demo]
    return "".join(told)


def wait_for_others(session: Session) -> None:
    """Several machines may start at once; each finds what the one before it has made."""
    connection = session.connection()
    dialect_of(connection.engine.url).lock(connection)
