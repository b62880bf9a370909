"""How Alembic connects to the database: as its owner, one process at a time."""

import asyncio
from collections.abc import Sequence
from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import MigrationScript
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, pool
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from app.core.db import base, ordering, refusals
from app.core.db.dialects import dialect_of
from app.core.db.dialects.access import PARTS, Access
from app.core.db.embedded import ensure_database
from app.core.db.types import ExactText, UTCDateTime
from app.core.settings import Settings
from app.installed import FEATURES, SETTINGS

attributes = context.config.attributes
steps = [step for feature in FEATURES for step in feature.migrations]


def render_type(kind: str, value: object, autogen: AutogenContext) -> str | Literal[False]:
    """Render our own column types by name in a new migration."""
    if kind == "type" and isinstance(value, UTCDateTime):
        autogen.imports.add("from app.core.db.types import UTCDateTime")
        return "UTCDateTime()"
    if kind == "type" and isinstance(value, ExactText):
        autogen.imports.add("from app.core.db.types import ExactText")
        return f"ExactText({value.length})"
    return False


def access(connection: Connection, settings: Settings) -> Access:
    """What the service may do with the existing tables."""
    present = set(inspect(connection).get_table_names())
    tables = [table for table in base.Base.metadata.sorted_tables if table.name in present]
    return Access(
        role=settings.database_role,
        login=settings.database_url.username if settings.database_url else None,
        tables=[table.name for table in tables],
        append_only={
            table.name: setting(table.info[base.APPEND_ONLY])
            for table in tables
            if base.APPEND_ONLY in table.info
        },
        searched=[
            (table.name, column.name)
            for table in tables
            for column in table.columns
            if base.SEARCHED in column.info
        ],
    )


def setting(variable: str) -> int:
    """The value of the setting with this environment variable."""
    for kind in SETTINGS:
        prefix = kind.model_config.get("env_prefix", "")
        name = variable.removeprefix(prefix).lower()
        if variable.startswith(prefix) and name in kind.model_fields:
            return getattr(kind(), name)
    raise LookupError(f"no setting is called {variable}")


def revise(migration: MigrationContext, revision: object, found: Sequence[MigrationScript]) -> None:
    """Let features rewrite what autogenerate found, and put it into an order that is possible."""
    for script in found:
        for step in steps:
            if step.revise and script.upgrade_ops is not None:
                step.revise(migration, script.upgrade_ops)
        ordering.put_in_order(migration, script)


def is_known(name: str | None, kind: str, parents: object) -> bool:
    """Whether migrations create what has this name."""
    return kind != "index" or not (name or "").startswith(PARTS)


def migrate(connection: Connection, settings: Settings) -> None:
    """Migrate; if that or the settings changed anything, update the service's rights."""
    applied: list[bool] = []

    def note(*_: object, **__: object) -> None:
        applied.append(True)

    context.configure(
        connection=connection,
        target_metadata=base.Base.metadata,
        render_item=render_type,
        render_as_batch=True,  # a migration generated on one database runs on the others
        on_version_apply=note,
        process_revision_directives=revise,
        include_name=is_known,
    )
    with context.begin_transaction():
        context.run_migrations()
        dialect, wanted = dialect_of(connection.engine.url), access(connection, settings)
        if applied or (attributes.get("grant") and not dialect.enforces(connection, wanted)):
            dialect.grant(connection, wanted)
            for step in steps:
                if step.after:
                    step.after(connection, wanted)
        if applied or attributes.get("grant"):
            dialect.index_text(connection, wanted)


async def online(settings: Settings) -> None:
    """Connect as the owner; the service itself runs with fewer rights."""
    variable = "MIGRATION_DATABASE_URL" if settings.migration_database_url else "DATABASE_URL"
    url = settings.migration_database_url or settings.database_url
    if url is None:
        raise RuntimeError("no database URL")
    engine = create_async_engine(url, poolclass=pool.NullPool)
    refusals.explain(engine.sync_engine, variable)
    try:
        async with engine.connect() as connection:
            for prepare in (dialect_of(url).lock, *(step.before for step in steps if step.before)):
                await connection.run_sync(prepare)
            await connection.commit()
            await connection.run_sync(migrate, settings)
            await connection.commit()
    except DBAPIError as error:
        if refusal := refusals.lasting(url, variable, error):
            raise refusal from error
        raise
    finally:
        await engine.dispose()


def offline(settings: Settings) -> None:
    """`alembic upgrade head --sql`: print the statements instead of running them."""
    context.configure(
        url=settings.migration_database_url or settings.database_url,
        target_metadata=base.Base.metadata,
        literal_binds=True,
    )
    with context.begin_transaction():
        context.run_migrations()


with ensure_database(attributes.get("settings") or Settings()) as ready:
    if context.is_offline_mode():
        offline(ready)
    else:
        asyncio.run(online(ready))
