"""How connections to MySQL and MariaDB behave."""

import asyncio
import os
from collections.abc import AsyncGenerator

import pytest
from asyncmy.errors import OperationalError
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.core.db import migrations
from app.core.db.dialects import mysql
from app.core.db.dialects.faults import Fault
from app.core.db.dialects.mysql import demand_writable, fault_of
from app.core.db.engine import create_engine
from app.core.db.purge import purging
from app.core.db.session import Database, from_engine, reading, unit_of_work
from app.core.settings import Settings
from app.features.audit.models import AuditEvent
from app.main import session_info
from app.seed import seed
from tests.backlogs import assert_others_are_not_read, fill, sizes
from tests.deadlocks import assert_one_is_told_to_try_again
from tests.inline import InlineQueue
from tests.outages import (
    Kill,
    Relay,
    Streams,
    assert_forgotten_connection_is_replaced,
    assert_jobs_tell_of_it,
    assert_probes_answer_soon,
    assert_read_only_is_told,
    assert_replaced_unnoticed,
    assert_standstill_is_told,
    assert_time_limits_of_features_are_theirs,
    assert_told_and_replaced,
)


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


@pytest.fixture
async def service_login(settings: Settings, owner: AsyncEngine) -> AsyncGenerator[Settings]:
    """Settings with a login of the service's own, which the migrations let in."""
    assert settings.database_url
    name = f"service_{os.getpid()}"
    async with owner.connect() as connection:
        await connection.exec_driver_sql(f"CREATE USER {name}@'%%' IDENTIFIED BY 'secret'")
    login = settings.model_copy(
        update={
            "database_url": settings.database_url.set(username=name, password="secret"),
            "migration_database_url": settings.database_url,
        }
    )
    try:
        await asyncio.to_thread(migrations.downgrade, login, "base")
        await asyncio.to_thread(migrations.upgrade, login)
        await seed(login)
        yield login
    finally:
        async with owner.connect() as connection:
            await connection.exec_driver_sql(f"DROP USER {name}@'%%'")


async def test_the_service_may_read_and_write_rows_and_nothing_else(
    service_login: Settings,
) -> None:
    engine = create_engine(service_login)
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM roles")) == 2
        await connection.execute(text("UPDATE users SET full_name = 'x'"))
        for statement in (
            "UPDATE audit_events SET action = 'x'",
            "DELETE FROM audit_events",
            "DROP TABLE users",
            "DELETE FROM alembic_version",
        ):
            with pytest.raises(DBAPIError, match="denied"):
                await connection.execute(text(statement))
    await engine.dispose()


async def test_one_role_deletes_from_the_audit_log_and_is_laid_down_again(
    service_login: Settings,
) -> None:
    role = service_login.database_role
    engine = create_engine(service_login)
    database = from_engine(engine, service_login)
    async with unit_of_work(database) as session:
        session.add(AuditEvent(action="x", object_type="x"))
        await session.flush()
        async with purging(session, role):
            await session.execute(text("DELETE FROM audit_events"))
    with pytest.raises(ZeroDivisionError):
        async with unit_of_work(database) as session, purging(session, role):
            raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(DBAPIError, match="denied"):
            async with unit_of_work(database) as session:
                await session.execute(text("DELETE FROM audit_events"))
    await engine.dispose()


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
    database = from_engine(engine, settings, session_info(settings, InlineQueue(settings, {})))
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
