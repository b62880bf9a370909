"""Fixtures for all tests.

Each test runs in a transaction that is rolled back. A test that needs real commits, several
connections or production sessions uses `committed_db`.
"""

import asyncio
import gc
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy import Engine, event, pool
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from starlette.types import Receive, Scope, Send

from app.core import logging as configure_log
from app.core.db import migrations, session as db_session
from app.core.db.base import APPEND_ONLY, Base, utc_now
from app.core.db.carried import SERVICE
from app.core.db.engine import create_engine
from app.core.db.session import Database, from_engine, unit_of_work
from app.core.mail import Mail
from app.core.security import passwords
from app.core.service import Service
from app.core.settings import Environment, Settings
from app.features import users
from app.features.auth import sessions
from app.features.health import service as health
from app.features.users.models import User
from app.installed import JOBS
from app.main import create_app
from app.seed import fill
from tests import (
    # {% if cookiecutter.use_celery %}
    brokers,  # noqa: F401  # pyright: ignore[reportUnusedImport], it knows what else is measured
    # {% endif %}
    databases,
    inline,
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenants,
    # {% endif %}
)

# Tests do not depend on the shell, except for where the built-in database is.
for field in Settings.model_fields.keys() - {"data_dir"}:
    os.environ.pop(field.upper(), None)
os.environ["SECRETS_DIR"] = ""
for field in inline.RATES:
    os.environ[f"LIMITS_{field.upper()}"] = "off"
os.environ["LIMITS_PER_PROCESS"] = "true"
os.environ["CACHE_PER_PROCESS"] = "true"


configure_log.hand_over()

# The cheapest Argon2 settings: tests hash often, and nothing is at risk.
passwords.context.update(argon2__memory_cost=8, argon2__time_cost=1, argon2__parallelism=1)


# What was imported lives as long as the tests: looking for garbage in it takes a sixth of their time.
gc.freeze()
gc.set_threshold(20_000, 20, 20)

# On a busy machine, probes may take longer than an orchestrator would wait.
db_session.PROBE_SECONDS = 60
health.FRESH_SECONDS = 0


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Generator[Settings]:
    """Settings for tests, with a migrated database of this process's own."""
    with databases.fresh_database(tmp_path_factory.mktemp("database")) as url:
        settings = Settings(
            **databases.NO_FILE,
            environment=Environment.TEST,
            database_url=url,
            mail_from="service@example.com",
            mailer=inline.RecordingMailer,
            job_queue=inline.InlineQueue,
            secret_key=SecretStr(token_hex(32)),
        )
        migrations.upgrade(settings)
        asyncio.run(inline.filled(settings))
        yield settings


@pytest.fixture(scope="session")
async def engine(settings: Settings) -> AsyncGenerator[AsyncEngine]:
    """The service's own engine, under the service's own role."""
    engine = create_engine(settings)
    yield engine
    await engine.dispose()


@pytest.fixture(autouse=True)
def restored_log() -> Generator[None]:
    """A test that configures the log leaves no handler behind."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def queue(settings: Settings) -> inline.InlineQueue:
    """Runs jobs when the request that enqueued them has ended."""
    return inline.InlineQueue(settings, JOBS)


@pytest.fixture
def sent() -> list[Mail]:
    """The mails that were sent."""
    inline.SENT.clear()
    return inline.SENT


@pytest.fixture
async def database(
    engine: AsyncEngine, settings: Settings, queue: inline.InlineQueue
) -> AsyncGenerator[Database]:
    """Every session of the test, on one connection that is rolled back at the end."""
    production = from_engine(engine, settings)
    async with engine.connect() as connection:
        transaction = await connection.begin()
        options: dict[str, Any] = {**production.writer.kw, "bind": connection}
        sessions = async_sessionmaker(**options, join_transaction_mode="create_savepoint")
        reads = inline.ReadsWithin(production.reads, sessions)
        database = replace(production, writer=sessions, reader=sessions, reads=reads)
        inline.service_over(database, settings, queue)
        yield database
        await transaction.rollback()


@pytest.fixture
async def session(database: Database) -> AsyncGenerator[AsyncSession]:
    """A session to prepare rows with; requests see what it flushes."""
    async with database.writer() as session:
        yield session


@pytest.fixture(scope="session")
async def owner(settings: Settings) -> AsyncGenerator[AsyncEngine]:
    """Autocommit connections with the rights of the tables' owner."""
    assert settings.database_url
    engine = create_async_engine(
        settings.database_url, poolclass=pool.NullPool, isolation_level="AUTOCOMMIT"
    )
    yield engine
    await engine.dispose()


DELETE = "DELETE FROM [table]"
# How the owner empties an append-only table; the service cannot.
EMPTY = {
    # {% if cookiecutter.database == "postgresql" %}
    "postgresql": [
        "ALTER TABLE [table] DISABLE TRIGGER USER",
        DELETE,
        "ALTER TABLE [table] ENABLE TRIGGER USER",
    ],
    # {% endif %}
    # {% if cookiecutter.database == "mysql" %}
    "mysql": ["TRUNCATE TABLE [table]"],
    # {% endif %}
    "sqlite": [DELETE],
}


# All of them in as few round trips as the database can.
AT_ONCE: dict[str, Callable[[list[str]], list[str]]] = {
    # {% if cookiecutter.database == "postgresql" %}
    "postgresql": lambda statements: [f"DO $$ BEGIN {'; '.join(statements)}; END $$"],
    # {% endif %}
    # {% if cookiecutter.database == "mysql" %}
    "mysql": list,
    # {% endif %}
    "sqlite": list,
}


def emptying(dialect: str) -> list[str]:
    """The statements that empty every table."""
    return AT_ONCE[dialect](
        [
            statement.replace("[table]", table.name)
            for table in reversed(Base.metadata.sorted_tables)
            for statement in (EMPTY[dialect] if APPEND_ONLY in table.info else [DELETE])
        ]
    )


@pytest.fixture
async def emptied(
    engine: AsyncEngine, settings: Settings, owner: AsyncEngine
) -> AsyncGenerator[None]:
    """Whatever is committed meanwhile is deleted afterwards."""
    yield
    async with owner.connect() as connection:
        for statement in emptying(owner.dialect.name):
            await connection.exec_driver_sql(statement)
    service = inline.service_over(from_engine(engine, settings), settings)
    async with unit_of_work(service.database) as session:
        await fill(session, service)


@pytest.fixture
async def committed_db(
    engine: AsyncEngine, settings: Settings, emptied: None, queue: inline.InlineQueue
) -> Database:
    """Production sessions, with real commits; the tables are emptied afterwards."""
    return inline.database_of(engine, settings, queue)


@pytest.fixture(scope="session")
def app(settings: Settings) -> FastAPI:
    """The application."""
    return create_app(settings)


def client_of(app: FastAPI, database: Database, settings: Settings) -> AsyncClient:
    """An in-process client of `app`, over `database`."""
    carried: Service | None = database.info.get(SERVICE)
    queue = carried.queue if carried else inline.InlineQueue(settings, JOBS)
    return client_over(app, inline.service_over(database, settings, queue))


def client_over(app: FastAPI, service: Service, address: str = "127.0.0.1") -> AsyncClient:
    """An in-process client of `app`, in this service, at this address."""

    async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {"service": service}}, receive, send)
        if isinstance(service.queue, inline.InlineQueue):
            await service.queue.run(service)

    transport = ASGITransport(with_state, raise_app_exceptions=False, client=(address, 50_000))
    return AsyncClient(transport=transport, base_url="http://test")


@pytest.fixture
async def client(
    app: FastAPI, database: Database, settings: Settings
) -> AsyncGenerator[AsyncClient]:
    """A client whose requests are rolled back after the test."""
    async with client_of(app, database, settings) as client:
        yield client


@pytest.fixture
async def committed_client(
    app: FastAPI, committed_db: Database, settings: Settings
) -> AsyncGenerator[AsyncClient]:
    """A client whose requests really commit, each on a connection of its own."""
    async with client_of(app, committed_db, settings) as client:
        yield client


PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Account:
    """A signed-in user."""

    id: UUID
    email: str
    client: AsyncClient
    tokens: dict[str, str]


SignIn = Callable[..., Awaitable[Account]]


async def verify(session: AsyncSession, user: User) -> None:
    """Mark the address as verified."""
    user.email_verified_at = utc_now()


# What is done to each account before it signs in.
SETTLED: list[Callable[[AsyncSession, User], Awaitable[None]]] = [verify]
# {% if cookiecutter.multi_tenancy == "row" %}
SETTLED.append(tenants.share)
# {% endif %}


async def make_account(
    database: Database, client: AsyncClient, email: str, *role_names: str
) -> Account:
    """A verified account with these roles, signed in on a client of its own."""
    password_hash = await passwords.hash_password(PASSWORD)
    async with unit_of_work(database) as session:
        user = await users.add(session, email, password_hash, "", *role_names)
        for settle in SETTLED:
            await settle(session, user)
        tokens = (await sessions.begin(session, user, client.headers["User-Agent"])).model_dump()
    client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    return Account(user.id, email, client, tokens)


@pytest.fixture
async def sign_in(app: FastAPI, database: Database, settings: Settings) -> AsyncGenerator[SignIn]:
    """Create an account with an address and roles, and sign in."""
    async with AsyncExitStack() as stack:

        async def make(email: str, *role_names: str) -> Account:
            client = client_of(app, database, settings)
            await stack.enter_async_context(client)
            return await make_account(database, client, email, *role_names)

        yield make


@pytest.fixture
async def member(sign_in: SignIn) -> Account:
    """A registered user."""
    return await sign_in("member@example.com", "member")


@pytest.fixture
async def admin(sign_in: SignIn) -> Account:
    """An administrator."""
    return await sign_in("admin@example.com", "admin")


@pytest.fixture
async def committed_admin(committed_client: AsyncClient, committed_db: Database) -> Account:
    """An administrator whose requests really commit."""
    return await make_account(committed_db, committed_client, "admin@example.com", "admin")


@pytest.fixture
def executed(engine: AsyncEngine) -> Generator[list[str]]:
    """The statements that the service's engine executes meanwhile."""
    statements: list[str] = []

    def note(connection: object, cursor: object, statement: str, *_: Any) -> None:  # noqa: ANN401
        statements.append(statement)

    sync: Engine = engine.sync_engine
    event.listen(sync, "before_cursor_execute", note)
    yield statements
    event.remove(sync, "before_cursor_execute", note)


@pytest.fixture
def project_root() -> Path:
    """The folder of `pyproject.toml`."""
    return migrations.ROOT
