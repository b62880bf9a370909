"""Sessions: one request, or one job, is one transaction."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from app.core.db import (
    engine as engines,
    migrations,
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenancy,
    # {% endif %}
)
from app.core.db.dialects import Dialect, dialect_of
from app.core.db.dialects.faults import Fault
from app.core.db.errors import (
    FAILURES,
    DatabaseTimeout,
    DatabaseUnavailable,
    NotMigrated,
    named,
    reporting_deletion,
)
from app.core.db.refusals import is_lasting
from app.core.errors import Failure
from app.core.settings import Settings

logger = logging.getLogger(__name__)

AFTER_COMMIT = "after_commit"
PROBE_SECONDS = 2.0
"""Whoever asks how the service is has an answer by then."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Database:
    """The connections of this process."""

    writer: async_sessionmaker[AsyncSession]
    reader: async_sessionmaker[AsyncSession]
    slots: asyncio.Semaphore
    spare: asyncio.Semaphore
    timeout: float
    dialect: Dialect

    @asynccontextmanager
    async def slot(self) -> AsyncGenerator[None]:
        """Admit as many at once as there are connections, first come first served.

        The pool itself is not fair: under load it lets some wait a second while others fly past.
        """
        try:
            async with asyncio.timeout(self.timeout):  # `wait_for` may swallow a cancellation
                await self.slots.acquire()
        except TimeoutError:
            raise DatabaseUnavailable from None
        try:
            yield
        finally:
            self.slots.release()


@asynccontextmanager
async def connect(
    settings: Settings, info: Mapping[str, Any], *, patient: bool = False, log: bool = False
) -> AsyncGenerator[Database]:
    """Open the engine; close it at the end. Each session carries `info`.

    A service is patient: a database that is away does not keep it from starting, and it logs why. What
    waiting does not mend does: a wrong password, no such database, a login that is too mighty.
    """
    engine = engines.create_engine(settings, log=log)
    try:
        try:
            async with engine.connect():
                pass
        except DatabaseUnavailable as error:
            if not patient or is_lasting(error):
                raise
        yield from_engine(engine, settings, info)
    finally:
        await engine.dispose()


def from_engine(
    engine: AsyncEngine, settings: Settings, info: Mapping[str, Any] | None = None
) -> Database:
    """The two kinds of session over one pool; each session carries `info`."""
    reading = engine.execution_options(**dialect_of(engine.url).read_options)
    return Database(
        writer=async_sessionmaker(
            engine,
            # {% if cookiecutter.multi_tenancy == "row" %}
            sync_session_class=tenancy.TenantSession,
            # {% endif %}
            expire_on_commit=False,
            info=dict(info or {}),
        ),
        reader=async_sessionmaker(
            reading,
            # {% if cookiecutter.multi_tenancy == "row" %}
            sync_session_class=tenancy.TenantSession,
            # {% endif %}
            expire_on_commit=False,
            # {% if cookiecutter.database == "postgresql" and cookiecutter.multi_tenancy == "row" %}
            transactional=engine.sync_engine,
            # {% endif %}
            autoflush=False,
            info=dict(info or {}),
        ),
        slots=asyncio.Semaphore(settings.database_pool_size),
        spare=asyncio.Semaphore(engines.SPARE_CONNECTIONS),
        timeout=settings.database_timeout,
        dialect=dialect_of(engine.url),
    )


async def failure_of(database: Database, error: DBAPIError) -> Failure | None:
    """What is wrong with the database, for the client; nothing when `error` is a bug."""
    fault = database.dialect.fault_of(error.orig)
    if fault is Fault.INCOMPLETE:
        return None if await probe(database, migrations.is_current) else NotMigrated()
    if fault is None and not error.connection_invalidated:
        return None
    return FAILURES.get(fault, DatabaseUnavailable)()


@asynccontextmanager
async def telling_outages(database: Database) -> AsyncGenerator[None]:
    """Raise the failure that an error of the database amounts to, unless it is a bug."""
    try:
        yield
    except DBAPIError as error:
        if failure := await failure_of(database, error):
            logger.warning("the database failed: %s", named(error.orig))
            raise failure from error
        raise


@asynccontextmanager
async def unit_of_work(database: Database) -> AsyncGenerator[AsyncSession]:
    """A session whose work is committed at the end, or rolled back when something raises."""
    async with telling_outages(database):
        with reporting_deletion():
            async with database.slot(), database.writer() as session:
                try:
                    yield session
                except Failure as failure:
                    if failure.keeps_work:
                        await commit(session)
                    raise
                await commit(session)


async def commit(session: AsyncSession) -> None:
    """Commit, then do what waited for it."""
    await session.commit()
    for act in session.info.pop(AFTER_COMMIT, []):
        act()


def after_commit(session: AsyncSession, act: Callable[[], object]) -> None:
    """Call `act` once the work of `session` is committed; never when it is rolled back."""
    session.info.setdefault(AFTER_COMMIT, []).append(act)


@asynccontextmanager
async def reading(database: Database) -> AsyncGenerator[AsyncSession]:
    """A session for pure reads: what is written in it is never committed as one."""
    async with telling_outages(database), database.slot(), database.reader() as session:
        yield session


async def probe(database: Database, ask: Callable[[AsyncSession], Awaitable[T]]) -> T:
    """What `ask` finds out, soon or not at all, on a connection that no request waits for."""
    try:
        async with (
            asyncio.timeout(PROBE_SECONDS),
            telling_outages(database),
            database.spare,
            database.reader() as session,
        ):
            return await ask(session)
    except TimeoutError:
        raise DatabaseTimeout from None


async def get_database(request: Request) -> Database:
    """For work that needs several transactions, or none while it waits for something else."""
    return request.state.database


async def get_session(request: Request) -> AsyncGenerator[AsyncSession]:
    """Commit when the endpoint has returned and before the response is sent."""
    async with unit_of_work(request.state.database) as session:
        yield session


async def get_read_session(request: Request) -> AsyncGenerator[AsyncSession]:
    """Read without a transaction's round trips."""
    async with reading(request.state.database) as session:
        yield session


DatabaseDep = Annotated[Database, Depends(get_database)]
# "function" closes the session before the response leaves: a commit that fails is an error response.
SessionDep = Annotated[AsyncSession, Depends(get_session, scope="function")]
ReadSessionDep = Annotated[AsyncSession, Depends(get_read_session, scope="function")]
