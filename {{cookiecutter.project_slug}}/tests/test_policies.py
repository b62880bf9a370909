"""Tenants are isolated by the policies without the filter, and by the filter without the policies."""

from collections.abc import AsyncGenerator, Generator
from contextlib import nullcontext
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
from app.core.db.session import Database, from_engine, reading, unit_of_work
from app.core.db.tenancy import gate, sessions
from app.core.db.tenancy.rows import OWNED, TAGGED
from app.core.settings import Settings
from app.core.tenancy import AllTenants, within
from app.features.tenants.models import Invitation, Membership, Tenant
from app.features.users.models import User

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
