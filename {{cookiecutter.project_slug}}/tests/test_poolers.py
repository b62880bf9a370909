"""Behind PgBouncer in transaction mode, each transaction may be on another connection, and nothing depends on it."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from uuid import uuid4

import pytest
from sqlalchemy import bindparam, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import Integer

from app.core.db.dialects.access import UnsafeLoginError
from app.core.db.engine import create_engine
from app.core.db.session import Database, connect, reading, unit_of_work
from app.core.settings import Settings
from app.features.users import repository as users
from app.features.users.models import User
from app.main import create_app
from conftest import client_of, make_account
from tests.inline import database_of, filled
from tests.outages import eventually
from tests.poolers import DISCONNECT, LOGIN, pooled
from tests.standby import Server

CLIENTS, TIMES = 12, 25
GIVE = f"ALTER ROLE {LOGIN} SET role = app_service"
TAKE = f"ALTER ROLE {LOGIN} RESET role"
NUMBER = select(bindparam("number", type_=Integer()).label("number"))
EMAIL = select(User.email, User.is_active).where(User.id == bindparam("id", type_=User.id.type))


@pytest.fixture(scope="module")
def behind(settings: Settings) -> Generator[tuple[Settings, Server]]:
    """A service behind PgBouncer, and the server."""
    with pooled(settings) as both:
        yield both


@pytest.fixture
async def ours(behind: tuple[Settings, Server]) -> Settings:
    """Its settings, once its login has the role of the service."""
    await behind[1].ask(GIVE, DISCONNECT)
    return behind[0]


@pytest.fixture
async def database(ours: Settings) -> AsyncGenerator[Database]:
    """Its database."""
    await filled(ours)
    engine = create_engine(ours.model_copy(update={"database_pool_size": CLIENTS}))
    yield database_of(engine, ours)
    await engine.dispose()


async def test_a_login_that_does_not_have_the_role_is_refused(
    behind: tuple[Settings, Server],
) -> None:
    await behind[1].ask(TAKE, DISCONNECT)

    async def refused() -> bool:
        try:
            async with connect(behind[0], patient=True):
                return (
                    False  # the pooler had not noticed yet that the server closed its connections
                )
        except UnsafeLoginError as error:
            return f"run ALTER ROLE {LOGIN} SET role = app_service" in str(error)

    await eventually(refused)


async def test_clients_share_connections_and_get_their_own_answers(database: Database) -> None:
    async def work(number: int) -> None:
        for time in range(TIMES):
            mine = number * 1000 + time
            found = await database.rows(NUMBER, {"number": mine})
            assert [row.number for row in found] == [mine]
            user = User(email=f"{mine}@example.com", password_hash="")
            async with unit_of_work(database) as session:
                session.add(user)
                with pytest.raises(DBAPIError):
                    async with session.begin_nested():
                        await session.execute(text("SELECT 1 / 0"))
                await session.flush()
            assert await database.rows(users.ACCOUNT, {"user_id": uuid4()}) == []
            (row,) = await database.rows(EMAIL, {"id": user.id})
            assert row.email == user.email
            async with reading(database) as session:
                assert (
                    await session.scalar(select(User.email).where(User.id == user.id)) == row.email
                )
                assert await session.scalar(text("SELECT current_user")) == "app_service"

    await asyncio.gather(*(work(number) for number in range(CLIENTS)))

    async with unit_of_work(database) as session:
        left = await session.scalar(text("SELECT count(*) FROM pg_prepared_statements"))
        assert left <= 1  # itself, without a name
        await session.execute(text("SELECT set_config('app.left', 'behind', true)"))
    async with unit_of_work(database) as session:
        assert not await session.scalar(text("SELECT current_setting('app.left', true)"))


async def test_a_read_that_is_stopped_leaves_no_answer_to_others(database: Database) -> None:
    slow = select(text("pg_sleep(5)")).select_from(User)
    async with unit_of_work(database) as session:
        session.add(User(email=f"{uuid4()}@example.com", password_hash=""))
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), reading(database) as session:
                await session.execute(slow)
        numbers = await asyncio.gather(
            *(database.rows(NUMBER, {"number": number}) for number in range(CLIENTS))
        )
        assert [rows[0].number for rows in numbers] == [*range(CLIENTS)]


async def test_the_service_works_behind_it(database: Database, ours: Settings) -> None:
    app = create_app(ours)
    async with client_of(app, database, ours) as client:
        await make_account(database, client, f"{uuid4()}@example.com", "admin")
        changed = await client.patch("/api/v1/users/me", json={"full_name": "Ada"})
        answers = await asyncio.gather(*(client.get("/api/v1/audit-events") for _ in range(30)))
        ready = await client.get("/health/ready")
    async with unit_of_work(database) as session:
        with pytest.raises(DBAPIError, match="permission denied"):
            await session.execute(text("UPDATE audit_events SET action = 'x'"))

    assert changed.status_code == 200
    assert {each.status_code for each in answers} == {200}
    assert ready.json()["checks"]["database"] == "ok"
