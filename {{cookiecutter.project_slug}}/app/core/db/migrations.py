"""Migrations: what the `app db` commands, the readiness check and the tests share."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.dialects.access import Access
from app.core.settings import Settings

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a feature adds to migrating. What is left out, it does not do."""

    before: Callable[[Connection], None] | None = None
    """On the owner's connection, before any migration runs."""
    revise: Callable[[MigrationContext, ops.UpgradeOps], None] | None = None
    """Rewrites what `app db revision` has found, before it is written to a file."""
    after: Callable[[Connection, Access], None] | None = None
    """After the last migration, in its transaction, when something has changed."""


def config(settings: Settings | None = None, *, grant: bool = False) -> Config:
    """Alembic's configuration from `pyproject.toml`, for the database of `settings`.

    With `grant` the service's rights are brought in step with the settings even if nothing is migrated.
    """
    attributes = {"settings": settings, "grant": grant}
    return Config(toml_file=str(ROOT / "pyproject.toml"), attributes=attributes)


def upgrade(settings: Settings, revision: str = "head") -> None:
    """Bring the database up to `revision`."""
    command.upgrade(config(settings, grant=True), revision)


def downgrade(settings: Settings, revision: str) -> None:
    """Bring the database back to `revision`, such as `-1` or `base`."""
    command.downgrade(config(settings), revision)


def check(settings: Settings) -> None:
    """Fail when the models and the migrated database differ."""
    command.check(config(settings))


def revise(settings: Settings, message: str) -> None:
    """Write a migration from the database as it is to the models as they are."""
    command.revision(config(settings), message, autogenerate=True)


@cache
def head() -> str | None:
    """The newest revision that this code knows."""
    return ScriptDirectory.from_config(config()).get_current_head()


async def current(session: AsyncSession) -> str | None:
    """The revision that the database is at; `None` before the first migration."""
    try:
        return await session.scalar(text("SELECT version_num FROM alembic_version"))
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return None


async def is_current(session: AsyncSession) -> bool:
    """Whether the database has every migration that this code needs."""
    return await current(session) == head()
