"""Migrations, for the `app db` commands, the readiness check and the tests."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.dialects.access import Access
from app.core.db.errors import NotMigrated
from app.core.settings import Settings

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a feature adds to migrations; functions that are left out do nothing."""

    before: Callable[[Connection], None] | None = None
    """On the owner's connection, before any migration runs."""
    revise: Callable[[MigrationContext, ops.UpgradeOps], None] | None = None
    """Rewrites what `app db revision` found, before it is written to a file."""
    after: Callable[[Connection, Access], None] | None = None
    """After the last migration, in its transaction, when something has changed."""


def config(settings: Settings | None = None, *, grant: bool = False) -> Config:
    """Alembic's configuration from `pyproject.toml`, for the database of `settings`.

    With `grant`, the service's rights are updated to match the settings even if nothing is migrated.
    """
    attributes = {"settings": settings, "grant": grant}
    return Config(toml_file=str(ROOT / "pyproject.toml"), attributes=attributes)


def upgrade(settings: Settings, revision: str = "head") -> None:
    """Upgrade the database to `revision`."""
    command.upgrade(config(settings, grant=True), revision)


def downgrade(settings: Settings, revision: str) -> None:
    """Downgrade the database to `revision`, such as `-1` or `base`."""
    command.downgrade(config(settings), revision)


def check(settings: Settings) -> None:
    """Fail if the models and the migrated database differ."""
    command.check(config(settings))


def revise(settings: Settings, message: str) -> None:
    """Generate a migration from the current database to the current models."""
    command.revision(config(settings), message, autogenerate=True)


def put_in_order(migration: MigrationContext, script: ops.MigrationScript) -> None:
    """Arrange what refers to each other, which Alembic does not: foreign keys, and tables that are dropped."""
    up, down = script.upgrade_ops, script.downgrade_ops
    if up is None or down is None or migration.connection is None:
        return
    drops = [each for each in up.ops if isinstance(each, ops.DropTableOp)]
    if len(drops) > 1:
        known = inspect(migration.connection).get_sorted_table_and_fkc_names()
        places = {name: place for place, (name, _) in enumerate(known)}
        drops.sort(key=lambda each: places.get(each.table_name, -1), reverse=True)
        up.ops[:] = [*(each for each in up.ops if each not in drops), *drops]
        made = [each for each in down.ops if isinstance(each, ops.CreateTableOp)]
        made.sort(key=lambda each: places.get(each.table_name, -1))
        down.ops[:] = [*made, *(each for each in down.ops if each not in made)]
    for each in (up, down):
        put_references_in_order(each)


def put_references_in_order(found: ops.OpContainer) -> None:
    """Drop foreign keys before anything that they use changes, and create them when all of it is there."""
    dropped: list[ops.MigrateOperation] = []
    others: list[ops.MigrateOperation] = []
    created: list[ops.MigrateOperation] = []
    for old in found.ops:
        if not isinstance(old, ops.ModifyTableOps):
            others.append(old)
            continue
        for place, chosen in (
            (dropped, [each for each in old.ops if is_dropped_reference(each)]),
            (created, [each for each in old.ops if isinstance(each, ops.CreateForeignKeyOp)]),
        ):
            if chosen:
                place.append(ops.ModifyTableOps(old.table_name, chosen, schema=old.schema))
                old.ops = [each for each in old.ops if each not in chosen]
        if old.ops:
            others.append(old)
    found.ops[:] = [*dropped, *others, *created]


def is_dropped_reference(operation: ops.MigrateOperation) -> bool:
    """Whether it drops a foreign key."""
    return isinstance(operation, ops.DropConstraintOp) and operation.constraint_type == "foreignkey"


@cache
def head() -> str | None:
    """The newest revision that this code knows."""
    return ScriptDirectory.from_config(config()).get_current_head()


async def current(session: AsyncSession) -> str | None:
    """The revision of the database; `None` before the first migration."""
    try:
        return await session.scalar(text("SELECT version_num FROM alembic_version"))
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return None


@cache
def known() -> frozenset[str]:
    """Every revision that this code knows."""
    script = ScriptDirectory.from_config(config())
    return frozenset(each.revision for each in script.walk_revisions())


async def ahead(session: AsyncSession) -> str | None:
    """The revision of a database that a newer release has migrated, as at each rolling deployment.

    `NotMigrated` if it lacks a migration that this code needs.
    """
    found = await current(session)
    if found is None or (found in known() and found != head()):
        raise NotMigrated
    return found if found != head() else None
