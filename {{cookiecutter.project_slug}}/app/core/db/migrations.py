"""Migrations, for the `app db` commands, the readiness check and the tests.

Alembic is imported only by what migrates: a service starts sooner, and needs less memory, without it.
"""

import ast
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.dialects.access import Access
from app.core.db.errors import NotMigrated
from app.core.settings import Settings

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.operations import ops
    from alembic.runtime.migration import MigrationContext

ROOT = Path(__file__).parents[3]


class MigrationError(RuntimeError):
    """What was requested cannot be done with these migrations, or this database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a feature adds to migrations; functions that are left out do nothing."""

    before: Callable[[Connection], None] | None = None
    """On the owner's connection, before any migration runs."""
    revise: "Callable[[MigrationContext, ops.UpgradeOps], None] | None" = None
    """Rewrites what `app db revision` found, before it is written to a file."""
    after: Callable[[Connection, Access], None] | None = None
    """After the last migration, in its transaction, when something has changed."""


def config(settings: Settings | None = None, *, grant: bool = False) -> "Config":
    """Alembic's configuration from `pyproject.toml`, for the database of `settings`.

    With `grant`, the service's rights are updated to match the settings even if nothing is migrated.
    """
    from alembic.config import Config  # noqa: PLC0415, as said above

    attributes = {"settings": settings, "grant": grant}
    # The default is what standard output was when Alembic was imported.
    return Config(toml_file=str(ROOT / "pyproject.toml"), stdout=sys.stdout, attributes=attributes)


def upgrade(settings: Settings, revision: str = "head") -> None:
    """Upgrade the database to `revision`."""
    execute("upgrade", config(settings, grant=True), revision)


def downgrade(settings: Settings, revision: str) -> None:
    """Downgrade the database to `revision`, such as `-1` or `base`."""
    execute("downgrade", config(settings), revision)


def check(settings: Settings) -> None:
    """Fail if the models and the migrated database differ."""
    execute("check", config(settings))


def revise(settings: Settings, message: str) -> None:
    """Generate a migration from the current database to the current models."""
    execute("revision", config(settings), message, autogenerate=True)


def execute(name: str, *arguments: object, **options: Any) -> None:  # noqa: ANN401, Alembic's
    """Execute a command of Alembic's."""
    from alembic import command  # noqa: PLC0415, likewise
    from alembic.util import CommandError  # noqa: PLC0415

    try:
        getattr(command, name)(*arguments, **options)
    except CommandError as error:
        raise MigrationError(str(error)) from error


@cache
def known() -> Mapping[str, Sequence[str]]:
    """Every revision that this code knows, and those that it follows."""
    found: dict[str, Sequence[str]] = {}
    for script in (ROOT / "migrations" / "versions").glob("*.py"):
        named = declared(script.read_bytes())
        if "revision" in named:
            before = named.get("down_revision") or ()
            found[named["revision"]] = (before,) if isinstance(before, str) else before
    return found


def declared(source: bytes) -> Mapping[str, Any]:
    """The revision of a script, and what it follows, without running it."""
    found: dict[str, Any] = {}
    for line in ast.parse(source).body:
        target = line.targets[0] if isinstance(line, ast.Assign) else getattr(line, "target", None)
        if isinstance(target, ast.Name) and target.id in {"revision", "down_revision"}:
            value: ast.expr | None = getattr(line, "value", None)
            found[target.id] = value and ast.literal_eval(value)
    return found


@cache
def heads() -> frozenset[str]:
    """The newest of them, which no other follows."""
    found = known().keys() - {each for before in known().values() for each in before}
    if len(found) > 1:
        raise MigrationError(
            f"migrations/versions has several heads ({', '.join(sorted(found))}): merge them"
        )
    return frozenset(found)


async def current(session: AsyncSession) -> str | None:
    """The revision of the database; `None` before the first migration."""
    try:
        return await session.scalar(text("SELECT version_num FROM alembic_version"))
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return None


async def ahead(session: AsyncSession) -> str | None:
    """The revision of a database that a newer release has migrated, as at each rolling deployment.

    `NotMigrated` if it lacks a migration that this code needs.
    """
    found = await current(session)
    if found is None or (found in known() and found not in heads()):
        raise NotMigrated
    return None if found in heads() else found
