"""What is specific to MySQL and MariaDB."""

import asyncio
import os
from collections.abc import AsyncGenerator
from datetime import timedelta
from functools import partial
from hashlib import sha256

import pytest
from asyncmy.errors import OperationalError
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import event, func, select, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.core.db import migrations
from app.core.db.base import utc_now
from app.core.db.dialects import mysql
from app.core.db.dialects.faults import Fault
from app.core.db.dialects.mysql import demand_writable, fault_of
from app.core.db.engine import create_engine
from app.core.db.errors import DatabaseTimeout
from app.core.db.session import Database, connect, reading, unit_of_work
from app.core.jobs.models import JobRun, JobState
from app.core.listing import Shape
from app.core.pagination import Part
from app.core.settings import Settings
from app.features.jobs.repository import JOBS
from tests.backlogs import assert_others_are_not_read, fill, sizes
from tests.deadlocks import assert_one_is_told_to_try_again
from tests.inline import database_of, filled
from tests.outages import (
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
    eventually,
)
from tests.retention import DELETE, ask, assert_the_owner_decides, note, purge, upgrade


@pytest.fixture(autouse=True)
def needs_mysql(settings: Settings) -> None:
    """These tests are about MySQL alone."""
    assert settings.database_url
    if settings.database_url.get_backend_name() != "mysql":
        pytest.skip("TEST_DATABASE_URL names another database")


async def test_the_session_is_strict_and_in_utc(committed_db: Database) -> None:
    async with reading(committed_db) as session:
        row = (await session.execute(text("SELECT @@sql_mode, @@time_zone"))).one()

    assert "STRICT_ALL_TABLES" in row[0]
    assert row[1] == "+00:00"


@pytest.mark.parametrize("sort", ["finished_at,id", "-finished_at,-id"])
@pytest.mark.parametrize("backwards", [False, True])
async def test_a_list_is_read_from_an_index_where_a_column_is_null_too(
    committed_db: Database, owner: AsyncEngine, sort: str, *, backwards: bool
) -> None:
    runs = [
        JobRun(
            name="a",
            queue="q",
            arguments={},
            due_at=None,
            state=JobState.DONE,
            finished_at=utc_now() - timedelta(seconds=number) if number % 3 else None,
        )
        for number in range(3000)
    ]
    async with unit_of_work(committed_db) as session:
        session.add_all(runs)
    middle = runs[1501]
    place = {"place_finished_at": middle.finished_at, "place_id": middle.id}
    async with owner.connect() as connection:

        async def is_read_from_the_index(part: Part) -> bool:
            """The estimates are wrong while the server still clears away what other tests have deleted."""
            built = JOBS.build(Shape(sort, (), part, False, backwards, True))
            compiled = built.compile(dialect=owner.dialect)
            values = tuple(place[name] for name in compiled.positiontup or ())
            await connection.exec_driver_sql("ANALYZE TABLE jobs")
            plan = (await connection.exec_driver_sql(f"EXPLAIN {compiled}", values)).one()
            return plan.key == "ix_jobs_finished_at" and "filesort" not in plan.Extra

        for part in (
            Part(False),
            Part(True),
            Part(False, True),
            Part(True, True, ("finished_at",)),
        ):
            await eventually(partial(is_read_from_the_index, part))


LOGIN, OWNER = f"service_{os.getpid()}", f"owner_{os.getpid()}"


@pytest.fixture
async def service_login(settings: Settings, owner: AsyncEngine) -> AsyncGenerator[Settings]:
    """Settings with a separate login for the service, granted rights by the migrations."""
    assert settings.database_url
    async with owner.connect() as connection:
        await connection.exec_driver_sql(f"CREATE USER {LOGIN}@'%%' IDENTIFIED BY 'secret'")
    login = settings.model_copy(
        update={
            "database_url": settings.database_url.set(username=LOGIN, password="secret"),
            "migration_database_url": settings.database_url,
        }
    )
    try:
        await start_anew(login)
        yield login
    finally:
        async with owner.connect() as connection:
            await connection.exec_driver_sql(f"DROP USER {LOGIN}@'%%'")
        await start_anew(settings)


async def start_anew(settings: Settings) -> None:
    """The database holds only what every test finds there."""
    await asyncio.to_thread(migrations.downgrade, settings, "base")
    await asyncio.to_thread(migrations.upgrade, settings)
    await filled(settings)


async def test_the_service_may_read_and_write_rows_and_nothing_else(
    service_login: Settings,
) -> None:
    engine = create_engine(service_login)
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM roles")) == 2
        await connection.execute(text("UPDATE users SET full_name = 'x'"))
        for statement in ("DROP TABLE users", "DELETE FROM alembic_version"):
            with pytest.raises(DBAPIError, match="denied"):
                await connection.execute(text(statement))
    await engine.dispose()


async def left(owner: AsyncEngine, kind: str) -> list[str]:
    """The names of all triggers, tables, routines or events of the database."""
    name, schema = f"{kind[:-1]}_name", "table" if kind == "tables" else kind[:-1]
    async with owner.connect() as connection:
        place = f"information_schema.{kind} WHERE {schema}_schema = DATABASE()"
        return sorted(await connection.scalars(text(f"SELECT {name} FROM {place}")))  # noqa: S608


EVERYTHING = "INSERT INTO audit_events SELECT * FROM audit_events"
REFUSED_TO_THE_OWNER = [
    [DELETE],
    [f"{DELETE} ORDER BY id LIMIT 1"],
    ["DELETE a, b FROM audit_events a JOIN audit_events b ON a.id = b.id"],
    ["UPDATE audit_events SET action = 'x'"],
    ["UPDATE audit_events SET created_at = '2000-01-01'", DELETE],
    [f"{EVERYTHING} ON DUPLICATE KEY UPDATE action = 'x'"],
    [EVERYTHING.replace("INSERT", "REPLACE")],
    ["SET timestamp = 2147483647", DELETE],
    ["SET time_zone = '+12:00'", "SET timestamp = 2147483647", DELETE],
    ["SET sql_mode = ''", "SET foreign_key_checks = 0", DELETE],
]
REFUSED = [
    *REFUSED_TO_THE_OWNER,
    ["TRUNCATE audit_events"],
    ["DROP TABLE audit_events"],
    ["ALTER TABLE audit_events RENAME TO x"],
    ["DROP TRIGGER [trigger]"],
    ["CREATE TRIGGER x BEFORE DELETE ON audit_events FOR EACH ROW SET @x = 1"],
    ["SET GLOBAL sql_mode = ''"],
    [f"GRANT ALL ON *.* TO {LOGIN}"],
]


async def test_no_sql_of_the_service_changes_the_audit_log(
    service_login: Settings, owner: AsyncEngine
) -> None:
    await note(service_login, {"young": 0})
    trigger, _ = await left(owner, "triggers")
    as_owner = [(owner.url, attempt) for attempt in REFUSED_TO_THE_OWNER]
    as_login = [(service_login.database_url, attempt) for attempt in REFUSED]

    for url, attempt in [*as_owner, *as_login]:
        with pytest.raises(DBAPIError, match=r"kept for|denied"):
            await ask(url, *(part.replace("[trigger]", trigger) for part in attempt))
            pytest.fail(f"{attempt} succeeded")
    assert await note(service_login, {}) == {"young"}


async def test_an_upgrade_retires_the_role_that_purged_and_sets_how_long_rows_are_kept(
    service_login: Settings, owner: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await leave_as_before_triggers(service_login, owner)
    as_purger = [f"SET ROLE `{purger(service_login)}`", DELETE]
    await note(service_login, {"young": 0})
    await ask(service_login.database_url, *as_purger)
    assert await note(service_login, {}) == set()

    await upgrade(service_login, 365, monkeypatch)

    with pytest.raises(DBAPIError, match="Invalid role"):
        await ask(service_login.database_url, *as_purger)
    await assert_the_owner_decides(service_login, monkeypatch)


async def leave_as_before_triggers(login: Settings, owner: AsyncEngine) -> None:
    """Set up as by the version in which a role was allowed to purge."""
    await ask(
        owner.url,
        *(f"DROP TRIGGER {name}" for name in await left(owner, "triggers")),
        f"REVOKE DELETE ON audit_events FROM {LOGIN}@'%%'",
        f"CREATE ROLE `{purger(login)}`",
        f"GRANT SELECT, DELETE ON audit_events TO `{purger(login)}`",
        f"GRANT `{purger(login)}` TO {LOGIN}@'%%'",
    )


def purger(login: Settings) -> str:
    """The role's name, one for each database."""
    database = str(login.database_url and login.database_url.database)
    return f"app_service_purge_{sha256(database.encode()).hexdigest()[:8]}"


async def test_an_owner_who_may_not_create_triggers_is_told_and_nothing_is_deleted(
    service_login: Settings,
    owner: AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    url = service_login.migration_database_url
    assert url
    await leave_as_before_triggers(service_login, owner)
    rights = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES"
    await ask(
        owner.url,
        f"CREATE USER {OWNER}@'%%' IDENTIFIED BY 'secret'",
        f"GRANT {rights} ON {url.database}.* TO {OWNER}@'%%' WITH GRANT OPTION",
        f"GRANT CREATE USER ON *.* TO {OWNER}@'%%'",
        f"GRANT SELECT ON mysql.* TO {OWNER}@'%%'",
    )
    try:
        weak = url.set(username=OWNER, password="secret")
        login = service_login.model_copy(update={"migration_database_url": weak})
        await upgrade(login, 365, monkeypatch)
        assert "may not create triggers" in caplog.text

        await note(login, {"old": 400})
        with pytest.raises(DBAPIError, match="DELETE command denied"):
            await ask(login.database_url, DELETE)
        assert "run `app db upgrade`" in await purge(login, 365, monkeypatch)

        await ask(owner.url, f"GRANT TRIGGER ON {url.database}.* TO {OWNER}@'%%'")
        await upgrade(login, 365, monkeypatch)
        assert await purge(login, 365, monkeypatch) == ""
        assert await note(login, {}) == set()
    finally:
        await ask(owner.url, *(f"DROP TRIGGER {name}" for name in await left(owner, "triggers")))
        await ask(owner.url, f"DROP USER {OWNER}@'%%'")


async def test_a_downgrade_leaves_nothing_behind(
    service_login: Settings, owner: AsyncEngine
) -> None:
    await asyncio.to_thread(migrations.downgrade, service_login, "base")

    assert await left(owner, "tables") == ["alembic_version"]
    for kind in ("triggers", "routines", "events"):
        assert await left(owner, kind) == []
    await asyncio.to_thread(migrations.upgrade, service_login)
    await filled(service_login)


@pytest.fixture
async def kill(engine: AsyncEngine, owner: AsyncEngine) -> AsyncGenerator[Kill]:
    """End every connection of the service, as a restart of the server would."""

    async def kill_all() -> None:
        async with owner.connect() as connection:
            others = await connection.scalars(
                text(
                    "SELECT id FROM information_schema.processlist"
                    " WHERE db = DATABASE() AND id <> CONNECTION_ID()"
                )
            )
            for number in others.all():
                await connection.execute(text(f"KILL {number}"))

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


async def test_of_two_requests_that_wait_for_each_other_one_is_told(committed_db: Database) -> None:
    await assert_one_is_told_to_try_again(committed_db)


async def rows_read(session: AsyncSession) -> int:
    """Rows and index entries that this connection has read so far."""
    counters = await session.execute(text("SHOW SESSION STATUS LIKE 'Handler_read%'"))
    return sum(int(row[1]) for row in counters)


@sizes
async def test_a_job_is_found_among_many_others_whether_or_not_they_were_counted(
    committed_db: Database, owner: AsyncEngine, size: int
) -> None:
    await fill(committed_db, size)
    await assert_others_are_not_read(committed_db, rows_read, 60)
    async with owner.connect() as connection:
        await connection.execute(text("ANALYZE TABLE jobs"))
    await assert_others_are_not_read(committed_db, rows_read, 60)


@pytest.fixture
def relay(settings: Settings) -> Relay:
    """A relay to the database."""
    url = settings.database_url
    assert url

    async def reach() -> Streams:
        return await asyncio.open_connection(url.host, url.port or 3306)

    return Relay(reach)


async def test_reads_tell_that_the_database_stands_still(settings: Settings, relay: Relay) -> None:
    await assert_reads_tell_of_it(settings, relay)


async def test_a_database_that_stands_still_is_told_and_waited_for(
    app: FastAPI, committed_db: Database, settings: Settings, relay: Relay
) -> None:
    await assert_standstill_is_told(app, settings, relay)


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
    app: FastAPI, committed_db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = create_engine(settings)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: DBAPIConnection, record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET SESSION TRANSACTION READ {access}")
        cursor.close()

    async def promote() -> None:
        nonlocal access
        access = "WRITE"

    access = "ONLY"
    database = database_of(engine, settings)
    await assert_read_only_is_told(app, database, settings, promote, monkeypatch)
    await engine.dispose()


async def test_a_read_only_server_binds_whoever_has_no_privilege(
    service_login: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = create_engine(service_login)
    async with engine.connect() as connection:
        await connection.run_sync(demand_writable)
        monkeypatch.setattr(mysql, "READ_ONLY", "SELECT 'read_only'")  # as the server would answer
        with pytest.raises(DBAPIError, match="it is read-only"):
            await connection.run_sync(demand_writable)
    await engine.dispose()


@pytest.mark.parametrize(
    ("number", "said", "fault"),
    [
        (1290, "is running with the --read-only option so it cannot", Fault.READ_ONLY),
        (1290, "is running with the --secure-file-priv option so it cannot", None),
        (2013, "Lost connection to MySQL server during query (read timeout)", Fault.LATE),
        (2013, "Lost connection to MySQL server during query", None),
    ],
)
def test_words_tell_what_a_number_means(number: int, said: str, fault: Fault | None) -> None:
    assert fault_of(OperationalError(number, said)) is fault


async def test_what_took_too_long_is_not_asked_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = settings.model_copy(update={"database_timeout": 1.0})
    slow = select(func.sleep(5).label("slept"))
    async with connect(impatient) as database:
        monkeypatch.setattr(database.reads, "connection", pytest.fail)
        with pytest.raises(DatabaseTimeout):
            await database.rows(slow, {})
