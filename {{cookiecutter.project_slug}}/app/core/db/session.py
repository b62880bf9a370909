"""Sessions: one request, or one job, is one transaction."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from inspect import isawaitable
from typing import Annotated, Any, TypeVar, TypeVarTuple, cast

from fastapi import Depends
from sqlalchemy import Row, Select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from starlette.requests import HTTPConnection

from app.core.db import (
    engine as engines,
    migrations,
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenancy,
    # {% endif %}
)
from app.core.db.carried import AFTER_COMMIT, ANYWAY, ENGINE, SERVICE
from app.core.db.dialects import Dialect, dialect_of
from app.core.db.dialects.faults import Fault
from app.core.db.errors import (
    FAILURES,
    DatabaseTimeout,
    DatabaseUnavailable,
    NotMigrated,
    Outdated,
    named,
    reporting_deletion,
)
from app.core.db.following import follow
from app.core.db.freshness import Followers
from app.core.db.prepared import Reads
from app.core.db.refusals import is_lasting
from app.core.db.slots import Slots
from app.core.errors import Failure
from app.core.settings import Settings

logger = logging.getLogger(__name__)

SESSION = "app.session"
"""The key in the scope of a request for the session that is committed after its endpoint."""
PROBE_SECONDS = 2.0
"""The time limit of health checks and metrics."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@dataclass(frozen=True, slots=True, repr=False)
class Database:
    """The connections of this process."""

    writer: async_sessionmaker[AsyncSession]
    reader: async_sessionmaker[AsyncSession]
    reads: Reads
    """What executes statements that were built once."""
    slots: Slots
    spare: asyncio.Semaphore
    dialect: Dialect
    info: dict[str, Any]
    """The `info` of each session."""
    replicas: Followers | None = None

    @property
    def pool(self) -> engines.ConnectionPool:
        """Its open connections."""
        return cast("engines.ConnectionPool", self.reads.engine.sync_engine.pool)

    def carry(self, service: Any) -> None:  # noqa: ANN401, it imports this module
        """Have every session opened from here on refer to its service, which may follow statements."""
        self.info[SERVICE] = service
        for enter in service.following:
            follow(self.info[ENGINE], self.reads, enter)
        if self.replicas:
            self.replicas.carry(service)

    async def rows(
        self, statement: Select[*Ts], values: Mapping[str, Any], *, may_lag: bool = False
    ) -> Sequence[Row[*Ts]]:
        """The answer to a statement that was built once, by the values of its bind parameters.

        Without a session, which would cost more than the query. If it `may_lag`, a replica may answer: what is shown may
        be a few seconds old, but what is decided by may not.
        """
        if may_lag and self.replicas:
            return await self.replicas.rows(statement, values)
        try:
            async with self.slots:
                return await self.reads.rows(statement, values)
        except DBAPIError as error:
            await tell(self, error)
            raise


@asynccontextmanager
async def connect(
    settings: Settings, *, patient: bool = False, log: bool = False
) -> AsyncGenerator[Database]:
    """Open the engine; close it at the end.

    If `patient`, it starts without a reachable database. What waiting cannot resolve still fails: a
    wrong password, a missing database, an over-privileged login.
    """
    engine = engines.create_engine(settings, log=log)
    database = from_engine(engine, settings)
    try:
        try:
            async with engine.connect():
                pass
        except DatabaseUnavailable as error:
            if not patient or is_lasting(error):
                raise
        yield database
    finally:
        await engine.dispose()


def from_engine(engine: AsyncEngine, settings: Settings) -> Database:
    """The two kinds of session on one pool."""
    info: dict[str, Any] = {ENGINE: engine.sync_engine}
    options: dict[str, Any] = {
        "expire_on_commit": False,
        "info": info,
        # {% if cookiecutter.multi_tenancy == "row" %}
        **tenancy.session_options(engine.sync_engine),
        # {% endif %}
    }
    reading = engine.execution_options(**dialect_of(engine.url).read_options)
    dialect = dialect_of(engine.url)
    fetch = None if settings.database_pooler else dialect.fetch
    reads = Reads(reading, fetch)
    # {% if cookiecutter.multi_tenancy == "row" %}
    reads = tenancy.reads(reading, fetch)
    # {% endif %}
    return Database(
        writer=async_sessionmaker(engine, **options),
        reader=async_sessionmaker(reading, autoflush=False, **options),
        reads=reads,
        slots=Slots(settings.database_pool_size, settings.database_timeout),
        spare=asyncio.Semaphore(engines.SPARE_CONNECTIONS),
        dialect=dialect,
        info=info,
    )


async def failure_of(database: Database, error: DBAPIError) -> Failure | None:
    """The failure to report to the client; `None` if `error` is a bug."""
    fault = database.dialect.fault_of(error.orig)
    if fault is Fault.INCOMPLETE:
        try:
            return Outdated() if await probe(database, migrations.ahead) else None
        except NotMigrated as failure:
            return failure
    if fault is None and not error.connection_invalidated:
        return None
    return FAILURES.get(fault, DatabaseUnavailable)()


@asynccontextmanager
async def telling_outages(database: Database) -> AsyncGenerator[None]:
    """Raise an error of the database as the failure that it amounts to, unless it is a bug."""
    try:
        yield
    except DBAPIError as error:
        await tell(database, error)
        raise


async def tell(database: Database, error: DBAPIError) -> None:
    """Raise the failure that this error amounts to, if it is no bug."""
    if failure := await failure_of(database, error):
        logger.warning("the database failed: %s", named(error.orig))
        raise failure from error


@asynccontextmanager
async def unit_of_work(database: Database) -> AsyncGenerator[AsyncSession]:
    """A session that is committed at the end, or rolled back if something raises."""
    waiting: list[Callable[[], object]] = []
    try:
        async with transaction(database, waiting) as session:
            yield session
    finally:
        await act_all(waiting)  # the connection is free by now, as they may need one of their own


async def act_all(waiting: Sequence[Callable[[], object]]) -> None:
    """Call each, whatever becomes of the others; raises the first error."""
    errors: list[BaseException] = []
    for act in waiting:
        try:
            done = act()
            if isawaitable(done):
                await done
        except BaseException as error:  # noqa: BLE001, it is raised below
            errors.append(error)
    for first in errors[:1]:
        raise first


@asynccontextmanager
async def transaction(
    database: Database, waiting: list[Callable[[], object]]
) -> AsyncGenerator[AsyncSession]:
    """The session itself; what waits for a commit is in `waiting` if there was one."""
    async with telling_outages(database):
        with reporting_deletion():
            async with database.slots:
                session = database.writer()
                try:
                    try:
                        yield session
                    except Failure as failure:
                        if failure.keeps_work:
                            await commit(session, waiting)
                        raise
                    await commit(session, waiting)
                finally:
                    await close(session)


async def close(session: AsyncSession) -> None:
    """Close it. After a commit nothing is left to wait for, and so no task is needed that a cancellation spares."""
    if session.in_transaction():
        await session.__aexit__(None, None, None)
    else:
        session.sync_session.close()


async def commit(session: AsyncSession, waiting: list[Callable[[], object]]) -> None:
    """Commit; adds what waited for it."""
    try:
        await session.commit()
    except asyncio.CancelledError:  # it may have been committed nevertheless
        waiting += session.info.get(ANYWAY, [])
        raise
    waiting += session.info.pop(AFTER_COMMIT, [])


def after_commit(session: AsyncSession, act: Callable[[], object], *, anyway: bool = False) -> None:
    """Call `act` once `session` is committed; never if it is rolled back.

    If `anyway`, call it also if it is unknown whether the session was committed.
    """
    session.info.setdefault(AFTER_COMMIT, []).append(act)
    if anyway:
        session.info.setdefault(ANYWAY, []).append(act)


@asynccontextmanager
async def reading(database: Database, *, may_lag: bool = False) -> AsyncGenerator[AsyncSession]:
    """A session for reads only: what is written in it is never committed as one transaction.

    If it `may_lag`, it may read from a replica.
    """
    if may_lag and database.replicas:
        async with database.replicas.reading() as session:
            yield session
        return
    async with telling_outages(database), database.slots, database.reader() as session:
        yield session


async def probe(database: Database, ask: Callable[[AsyncSession], Awaitable[T]]) -> T:
    """The result of `ask`, within a time limit, on a connection that no request waits for."""
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


async def get_database(connection: HTTPConnection) -> Database:
    """For endpoints that need several transactions, or none while they wait for something else."""
    return connection.state.service.database


async def get_session(connection: HTTPConnection) -> AsyncGenerator[AsyncSession]:
    """Commit after the endpoint returns and before the response is sent."""
    async with unit_of_work(connection.state.service.database) as session:
        connection.scope[SESSION] = session
        yield session


async def get_read_session(connection: HTTPConnection) -> AsyncGenerator[AsyncSession]:
    """Read without a transaction's round trips, and from a replica if one is configured."""
    async with reading(connection.state.service.database, may_lag=True) as session:
        yield session


DatabaseDep = Annotated[Database, Depends(get_database)]
# "function" closes the session before the response is sent: a failed commit is an error response.
SessionDep = Annotated[AsyncSession, Depends(get_session, scope="function")]
ReadSessionDep = Annotated[AsyncSession, Depends(get_read_session, scope="function")]
