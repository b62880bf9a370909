"""Statements on the driver's own connection answer, and fail, as in a session."""

from dataclasses import replace
from typing import Any, cast
from uuid import uuid4

import pytest
from sqlalchemy import Select, String, bindparam, func, literal, literal_column, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool
from sqlalchemy.util import greenlet_spawn

from app.core.db.base import Base
from app.core.db.prepared import Prepared
from app.core.db.session import Database, unit_of_work
from app.core.db.slots import Slots
from app.core.errors import Unavailable
from app.features.audit.models import AuditEvent
from app.features.users import ACCOUNT
from app.features.users.models import Role, User
from conftest import Account

ROLES = select(Role.name, Role.permissions).where(Role.name == bindparam("name"))


async def test_rows_are_those_of_a_session(
    committed_admin: Account, owner: AsyncEngine, subtests: pytest.Subtests
) -> None:
    """Every column of every table: instants, ids, JSON, booleans, enumerations."""
    assert committed_admin.id
    for table in Base.metadata.sorted_tables:
        statement: Select[Any] = select(table).limit(3).order_by(*table.primary_key.columns)
        prepared = Prepared(statement, owner.dialect)
        async with owner.connect() as connection:
            theirs = (await connection.execute(statement)).all()
            driver = await connection.get_raw_connection()
            ours = await greenlet_spawn(prepared.read, driver, prepared.arguments({}))
        with subtests.test(str(table.name)):
            assert ours == theirs
            for row, wanted in zip(ours, theirs, strict=True):
                for name in table.columns.keys():  # noqa: SIM118, these are columns
                    value = getattr(row, name)
                    assert value == getattr(wanted, name)
                    assert type(value) is type(getattr(wanted, name))


async def test_values_are_converted_both_ways(
    committed_admin: Account, committed_db: Database
) -> None:
    asked = User.created_at == bindparam("since"), User.is_active == bindparam("active")
    statement = select(User.id, User.created_at, literal("x").label("mark")).where(*asked)
    (account,) = await committed_db.rows(ACCOUNT, {"user_id": committed_admin.id})

    values = {"since": account.created_at, "active": True}
    assert await committed_db.rows(statement, values) == [
        (committed_admin.id, account.created_at, "x")
    ]
    assert await committed_db.rows(statement, {**values, "active": False}) == []
    assert await committed_db.rows(statement, {**values, "more": 1, "than": 2, "needed": 3})


async def test_a_statement_is_compiled_once(committed_db: Database) -> None:
    for name in ("admin", "member", "none", "admin"):
        rows = await committed_db.rows(ROLES, {"name": name})
        assert [row.name for row in rows] == [name][: name != "none"]

    assert committed_db.reads.prepared.cache_info()[:2] == (3, 1)


async def test_a_forgotten_value_is_named(committed_db: Database) -> None:
    with pytest.raises(KeyError, match="name"):
        await committed_db.rows(ROLES, {"nam": "admin"})


@pytest.mark.parametrize(
    "statement",
    [
        select(func.lower(Role.name)),
        select(Role.name).where(Role.name == bindparam("name", callable_=lambda: "admin")),
    ],
    ids=["no name", "computed"],
)
def test_what_sqlalchemy_would_answer_otherwise_is_refused(
    committed_db: Database, statement: Select[Any]
) -> None:
    with pytest.raises(TypeError, match=r"label|its value"):
        Prepared(statement, committed_db.reads.dialect)


def test_parameters_whose_number_changes_are_refused(committed_db: Database) -> None:
    with pytest.raises(TypeError, match="execute it in a session"):
        Prepared(select(Role.name).where(Role.name.in_(["a"])), committed_db.reads.dialect)


async def test_what_follows_statements_sees_these_too(
    committed_db: Database, executed: list[str]
) -> None:
    assert await committed_db.rows(ROLES, {"name": "admin"})

    assert len([each for each in executed if "FROM roles" in each]) == 1
    assert committed_db.reads.prepared.cache_info().currsize == 0


async def test_an_error_in_sql_is_raised_as_in_a_session(committed_db: Database) -> None:
    wrong = select(literal_column("nothing", String()).label("name")).select_from(Role)

    for _ in range(2):
        with pytest.raises(DBAPIError, match="nothing") as raised:
            await committed_db.rows(wrong, {})
        assert not raised.value.connection_invalidated
    assert await committed_db.rows(ROLES, {"name": "admin"}), "the connection can still be used"


async def test_no_transaction_stays_open(committed_db: Database, engine: AsyncEngine) -> None:
    """What another connection commits meanwhile is seen, though the pool hands out the same one again."""
    counted = select(func.count().label("number")).select_from(AuditEvent)
    before = (await committed_db.rows(counted, {}))[0].number
    async with unit_of_work(committed_db) as session:
        session.add(AuditEvent(action="test", object_type="test", object_id=uuid4()))

    assert (await committed_db.rows(counted, {}))[0].number == before + 1
    assert cast("QueuePool", engine.sync_engine.pool).checkedout() == 0


async def test_who_waits_too_long_for_a_connection_is_told(committed_db: Database) -> None:
    starved = replace(committed_db, slots=Slots(0, 0.01))

    with pytest.raises(Unavailable):
        await starved.rows(ROLES, {"name": "admin"})
