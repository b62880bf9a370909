"""Tenants are isolated by the policies without the filter, and by the filter without the policies."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import CursorResult, Executable, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import ORMExecuteState

from app.core.db.base import Base
from app.core.db.carried import SERVICE
from app.core.db.engine import create_engine
from app.core.db.errors import DatabaseUnavailable
from app.core.db.session import Database, from_engine, reading, unit_of_work
from app.core.db.tenancy import gate, sessions
from app.core.db.tenancy.reads import TenantReads
from app.core.db.tenancy.rows import OWNED, TAGGED
from app.core.settings import Settings
from app.core.tenancy import AllTenants, within
from app.features.audit.models import AuditEvent
from app.features.tenants.models import Invitation, Membership, Tenant
from app.features.users.models import User
from tests import poolers, replicas

EVENTS = select(AuditEvent.action)
NAMES = text("SELECT name FROM tenants JOIN memberships ON memberships.tenant_id = tenants.id")


@pytest.fixture(autouse=True)
def needs_postgresql(settings: Settings) -> None:
    """These tests need PostgreSQL."""
    assert settings.database_url
    if settings.database_url.get_backend_name() != "postgresql":
        pytest.skip("TEST_DATABASE_URL names another database")


@pytest.fixture
async def tenants(committed_db: Database) -> list[UUID]:
    """Two tenants, with one member each."""
    made = [uuid4(), uuid4()]
    async with unit_of_work(committed_db) as session:
        for number, tenant_id in enumerate(made):
            user = User(email=f"{number}@example.com", password_hash="")
            session.add_all([Tenant(id=tenant_id, name=str(number)), user])
            await session.flush()
            session.add(Membership(tenant_id=tenant_id, user_id=user.id, role="owner"))
    return made


async def test_what_is_executed_again_would_lose_its_tenant_so_nothing_is(
    committed_db: Database, tenants: list[UUID], owner: AsyncEngine, engine: AsyncEngine
) -> None:
    """Whether its connection is lost before the first statement, or a migration changes what it reads."""
    kill = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with within(tenants[0]):
        for opener in (unit_of_work, reading):
            with pytest.raises((DatabaseUnavailable, DBAPIError)):
                async with opener(committed_db) as session:
                    await session.connection()
                    async with owner.connect() as connection:
                        await connection.execute(kill)
                    await session.execute(select(Membership.role))
        for length in (17, 16):
            for _ in range(3):
                with suppress(DatabaseUnavailable):
                    async with reading(committed_db) as session:
                        assert (await session.scalars(select(Membership.role))).all() == ["owner"]
            async with owner.connect() as connection:
                await connection.execute(
                    text(f"ALTER TABLE memberships ALTER COLUMN role TYPE varchar({length})")
                )
    await engine.dispose()


@pytest.fixture
def no_filter(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Sessions that filter nothing and refuse nothing."""

    def unfiltered(state: ORMExecuteState, tenant_id: UUID) -> Executable:
        return state.statement

    def unchecked(scope: object, row: object) -> None:
        pass

    monkeypatch.setattr(sessions, "filtered", unfiltered)
    monkeypatch.setattr(sessions, "check_row", unchecked)
    with gate.vouching():
        yield


@pytest.fixture
async def no_policies(owner: AsyncEngine) -> AsyncGenerator[None]:
    """Switches the policies off."""
    tables = (OWNED | TAGGED) & Base.metadata.tables.keys()
    async with owner.connect() as connection:
        for table in tables:
            await connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    yield
    async with owner.connect() as connection:
        for table in tables:
            await connection.exec_driver_sql(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")


async def seen(session: AsyncSession, statement: Executable) -> list[object]:
    """The tenants of the rows that are returned."""
    return list((await session.execute(statement)).scalars())


async def test_every_table_with_a_tenant_has_a_policy_that_binds_its_owner(
    owner: AsyncEngine,
) -> None:
    async with owner.connect() as connection:
        rows = await connection.execute(
            text(
                "SELECT relname, relrowsecurity AND relforcerowsecurity,"
                " (SELECT count(*) FROM pg_policies WHERE tablename = relname)"
                " FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
                " WHERE attname = 'tenant_id' AND relkind = 'r' AND relname NOT LIKE 'test%'"
            )
        )
        found = {row[0]: (row[1], row[2]) for row in rows}

    assert found == dict.fromkeys((OWNED | TAGGED) & Base.metadata.tables.keys(), (True, 1))


@pytest.mark.usefixtures("no_filter")
async def test_without_the_filter_the_policies_hold(
    committed_db: Database, tenants: list[UUID]
) -> None:
    for tenant_id in tenants:
        with within(tenant_id):
            async with reading(committed_db) as session:
                assert await seen(session, select(Membership.tenant_id)) == [tenant_id]
                assert await seen(session, text("SELECT tenant_id FROM memberships")) == [tenant_id]
            async with unit_of_work(committed_db) as session:
                for change in ("UPDATE memberships SET role = 'x'", "DELETE FROM invitations"):
                    done = await session.execute(text(change))
                    assert isinstance(done, CursorResult)
                    assert done.rowcount <= 1


@pytest.mark.usefixtures("no_filter")
async def test_without_the_filter_no_row_is_written_for_another(
    committed_db: Database, tenants: list[UUID]
) -> None:
    ours, theirs = tenants
    row = Invitation(tenant_id=theirs, email="x", role="member", token_hash="x")
    with within(ours):
        for statement in (
            "UPDATE memberships SET tenant_id = :theirs",
            "INSERT INTO memberships (id, created_at, updated_at, tenant_id, user_id, role)"
            " SELECT id, created_at, updated_at, :theirs, user_id, role FROM memberships",
        ):
            with pytest.raises(DBAPIError, match="row-level security"):
                async with unit_of_work(committed_db) as session:
                    await session.execute(text(statement), {"theirs": theirs})
        with pytest.raises(DBAPIError):
            async with unit_of_work(committed_db) as session:
                session.add(row)


@pytest.fixture
def there(settings: Settings, tmp_path: Path) -> Generator[Settings]:
    """A second database, which stands for a replica."""
    with replicas.second_database(settings, tmp_path) as second:
        yield second


@pytest.fixture
async def replicated_db(
    committed_db: Database, tenants: list[UUID], settings: Settings, there: Settings
) -> AsyncGenerator[Database]:
    """With a replica, on which both tenants have an event that the primary lacks."""
    async with replicas.opened(there) as behind:
        for tenant_id in tenants:
            with within(tenant_id):
                async with unit_of_work(behind) as session:
                    session.add(AuditEvent(action=str(tenant_id), object_type="test"))
    assert there.database_url
    async with replicas.following(committed_db, settings, there.database_url) as service:
        yield service.database


async def read_on_replicas(database: Database, tenant_id: UUID) -> None:
    """Require that each way to read a replica shows the rows of this tenant."""
    with within(tenant_id), replicas.asking():
        for statement in (select(AuditEvent.action), text("SELECT action FROM audit_events")):
            async with reading(database, may_lag=True) as session:
                assert await seen(session, statement) == [str(tenant_id)]
                # One about members changes to the primary, which shows those of this tenant too.
                assert await seen(session, select(Membership.tenant_id)) == [tenant_id]
                assert await seen(session, statement) == []
        found = await database.rows(EVENTS, {}, may_lag=True)
        assert [row.action for row in found] == [str(tenant_id)]


def unfilter_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Filter and check no statements that are built once."""

    def unfiltered(_: object, statement: object, values: object) -> tuple[object, object]:
        return statement, values

    def unchecked(*_: object) -> None:
        pass

    monkeypatch.setattr(TenantReads, "within", unfiltered)
    monkeypatch.setattr(TenantReads, "check", unchecked)


@pytest.mark.usefixtures("no_filter")
async def test_on_a_replica_the_policies_hold_without_the_filter(
    replicated_db: Database, tenants: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    unfilter_reads(monkeypatch)
    for tenant_id in (*tenants, tenants[0]):
        await read_on_replicas(replicated_db, tenant_id)


async def test_on_a_replica_no_statement_reads_rows_of_others(
    replicated_db: Database, tenants: list[UUID]
) -> None:
    ours, theirs = tenants
    by_hand = select(AuditEvent.__table__.c.action).where(
        AuditEvent.__table__.c.tenant_id == theirs
    )
    with within(ours), replicas.asking():
        async with reading(replicated_db, may_lag=True) as session:
            for statement in (by_hand, text("SELECT action FROM audit_events")):
                with pytest.raises(gate.TenancyError):
                    await session.execute(statement)
            assert await seen(session, select(AuditEvent.action)) == [str(ours)]
        found = await replicated_db.rows(EVENTS, {"tenant_id": theirs}, may_lag=True)
        assert [row.action for row in found] == [str(ours)]


@pytest.mark.usefixtures("no_policies")
async def test_without_the_policies_the_filter_holds(
    committed_db: Database, tenants: list[UUID]
) -> None:
    for tenant_id in tenants:
        with within(tenant_id):
            async with reading(committed_db) as session:
                assert await seen(session, select(Membership.tenant_id)) == [tenant_id]


@pytest.mark.usefixtures("no_filter")
async def test_a_pooled_connection_forgets_for_whom_it_worked(
    settings: Settings, tenants: list[UUID]
) -> None:
    """The setting is then '', and not NULL as on a new connection."""
    engine = create_engine(settings.model_copy(update={"database_pool_size": 1}))
    database = from_engine(engine, settings)
    asked = text("SELECT current_setting('app.tenant_id', true)")
    said: list[object] = []
    for tenant_id in (None, tenants[0], None, tenants[1], None):
        with within(tenant_id):
            async with reading(database) as session:
                said.append(await session.scalar(asked))
                if tenant_id:
                    assert await seen(session, select(Membership.tenant_id)) == [tenant_id]
    await engine.dispose()

    assert said == [None, str(tenants[0]), "", str(tenants[1]), ""]


@pytest.mark.usefixtures("no_filter")
async def test_a_transaction_that_was_rolled_back_leaves_nothing_said(
    settings: Settings, tenants: list[UUID]
) -> None:
    engine = create_engine(settings.model_copy(update={"database_pool_size": 1}))
    database = from_engine(engine, settings)
    with within(tenants[0]), pytest.raises(ZeroDivisionError):
        async with unit_of_work(database) as session:
            await session.execute(select(Membership))
            raise ZeroDivisionError
    with within(tenants[1]):
        async with unit_of_work(database) as session:
            with pytest.raises(ZeroDivisionError):
                async with session.begin_nested():
                    await session.execute(select(Membership))
                    raise ZeroDivisionError
            assert await seen(session, select(Membership.tenant_id)) == [tenants[1]]
    await engine.dispose()


@pytest.fixture
def behind_pooler(settings: Settings) -> Generator[Settings]:
    """A service behind PgBouncer, whose connections serve the transactions of all clients."""
    with poolers.pooled(settings) as (ours, server):
        asyncio.run(server.ask(f"ALTER ROLE {poolers.LOGIN} SET role = {settings.database_role}"))
        asyncio.run(server.ask(poolers.DISCONNECT))
        yield ours


@pytest.mark.usefixtures("no_filter")
async def test_behind_a_pooler_each_transaction_has_its_own_tenant(
    behind_pooler: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfilter_reads(monkeypatch)
    tenants = [uuid4() for _ in range(8)]
    async with replicas.opened(behind_pooler) as database:
        for tenant_id in tenants:
            with within(tenant_id):
                async with unit_of_work(database) as session:
                    session.add(AuditEvent(action=str(tenant_id), object_type="test"))

        async def read(tenant_id: UUID) -> None:
            with within(tenant_id):
                for _ in range(20):
                    async with reading(database) as session:
                        assert await seen(session, select(AuditEvent.action)) == [str(tenant_id)]
                    found = await database.rows(EVENTS, {})
                    assert [row.action for row in found] == [str(tenant_id)]

        await asyncio.gather(*map(read, tenants))


async def test_a_migration_reaches_every_row(
    committed_db: Database, tenants: list[UUID], owner: AsyncEngine, settings: Settings
) -> None:
    """Although the policies apply to the tables' owner too; the service's role stands in for it here."""
    from app.core.db.tenancy.policies import lift  # noqa: PLC0415

    async with owner.connect() as connection:
        await connection.exec_driver_sql(f"SET ROLE {settings.database_role}")
        count = text("SELECT count(*) FROM memberships")
        await connection.exec_driver_sql(f"SET app.tenant_id = '{tenants[0]}'")
        assert await connection.scalar(count) == 1
        await connection.run_sync(lift)
        assert await connection.scalar(count) == 2


@pytest.fixture
async def single(
    settings: Settings, committed_db: Database
) -> AsyncGenerator[tuple[AsyncEngine, Database]]:
    """An engine whose sessions follow each other on one connection."""
    engine = create_engine(settings.model_copy(update={"database_pool_size": 1}))
    database = from_engine(engine, settings)
    database.info[SERVICE] = committed_db.info[SERVICE]
    yield engine, database
    await engine.dispose()


TOLD = text("SELECT current_setting('app.tenant_id', true)")


async def test_the_tenant_is_set_with_the_beginning_of_a_transaction_and_for_it_alone(
    single: tuple[AsyncEngine, Database], tenants: list[UUID]
) -> None:
    engine, database = single
    for tenant_id in tenants:
        with within(tenant_id):
            async with unit_of_work(database) as session:
                assert await seen(session, select(Membership.tenant_id)) == [tenant_id]
                assert await seen(session, TOLD) == [str(tenant_id)]
        async with engine.begin() as connection:
            assert not await connection.scalar(TOLD)


async def test_only_reads_of_tenants_take_a_transaction(
    committed_db: Database, tenants: list[UUID]
) -> None:
    in_transaction: list[bool] = []
    for scope in (nullcontext(), within(tenants[0]), within(AllTenants("a test"))):
        with scope:
            async with reading(committed_db) as session:
                await session.scalar(text("SELECT 1"))
                connection = await (await session.connection()).get_raw_connection()
                driver: Any = connection.driver_connection
                in_transaction.append(driver.is_in_transaction())

    assert in_transaction == [False, True, True]


async def test_a_session_that_asks_nothing_leaves_no_tenant_to_the_next(
    single: tuple[AsyncEngine, Database], tenants: list[UUID]
) -> None:
    engine, database = single
    for scope in (within(tenants[0]), within(AllTenants("a test"))):
        with scope:
            async with unit_of_work(database) as session:
                await session.connection()
        async with engine.begin() as connection:
            assert not await connection.scalar(TOLD)
