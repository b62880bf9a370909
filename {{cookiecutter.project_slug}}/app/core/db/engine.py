"""The engine: pool, time limits, and what happens on each connection."""

import asyncio
import logging
from time import monotonic
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect, ExceptionContext
from sqlalchemy.exc import DisconnectionError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, PoolProxiedConnection
from sqlalchemy.util import await_, greenlet_spawn

from app.core.db import dialects
from app.core.db.dialects.access import MissingRoleError, UnsafeLoginError
from app.core.db.dialects.again import ALIVE, IDLE_SINCE, OPENED
from app.core.db.dialects.faults import Fault
from app.core.db.errors import DatabaseUnavailable, NotMigrated, named
from app.core.db.refusals import Refused, opened
from app.core.settings import Settings

logger = logging.getLogger(__name__)

IDLE_SECONDS = 30.0  # below it a connection is trusted: testing each one costs a tenth of a read
PING_SECONDS = 2.0  # a firewall may have forgotten a connection: then nothing ever answers on it
RECYCLE_SECONDS = 1800
REPLACED_SECONDS = 5.0  # from this age on, a connection's fault invalidates all others
SPARE_CONNECTIONS = 2  # besides those of requests: for health checks and metrics


def create_engine(
    settings: Settings, *, log: bool = False, variable: str = "DATABASE_URL"
) -> AsyncEngine:
    """The service's engine; `database_url`, from this variable, must be set. With `log`, it logs why connecting fails."""
    url = settings.database_url
    if url is None:
        raise ValueError("no database URL: open the embedded database first")
    dialect, pooled = dialects.dialect_of(url), settings.database_pooler is not None
    engine = create_async_engine(
        url,
        echo=settings.debug,
        hide_parameters=not settings.debug,
        poolclass=ConnectionPool,
        pool_size=settings.database_pool_size + SPARE_CONNECTIONS,
        max_overflow=0,
        pool_timeout=settings.database_timeout,
        pool_recycle=RECYCLE_SECONDS,
        connect_args={
            **dialect.connect_args(url, timeout=settings.database_timeout),
            **(dialect.pooled_args if pooled else {}),
        },
    )
    dialect.configure(
        engine.sync_engine, role=settings.database_role, deployed=settings.deployed, pooled=pooled
    )
    report_refusals(engine.sync_engine, variable, log=log)
    dialect.execute_again(engine.sync_engine)
    drop_useless_connections(engine.sync_engine)
    test_idle_connections(engine.sync_engine)
    return engine


def report_refusals(engine: Engine, variable: str, *, log: bool) -> None:
    """Raise `DatabaseUnavailable` if a connection cannot be opened, whatever the driver raises."""
    told: str | None = None

    @event.listens_for(engine, "do_connect")
    def open_connection(
        dialect: Dialect, record: ConnectionPoolEntry, args: list[Any], kwargs: dict[str, Any]
    ) -> DBAPIConnection:
        nonlocal told
        try:
            connection = opened(engine.url, variable, lambda: dialect.connect(*args, **kwargs))
        except Refused as refusal:
            if log and str(refusal) != told:  # once, however many requests and jobs run into it
                logger.warning("%s", refusal)
            told = str(refusal)
            raise DatabaseUnavailable from refusal
        if log and told:
            logger.warning("the database can be reached again")
        told = None
        return connection


class ConnectionPool(AsyncAdaptedQueuePool):
    """Raises `DatabaseUnavailable` if it has no connection to give, whatever the driver raises."""

    def connect(self) -> PoolProxiedConnection:
        """A connection that works."""
        try:
            return super().connect()
        except (UnsafeLoginError, DatabaseUnavailable):
            raise
        except MissingRoleError as error:
            raise NotMigrated from error
        except Exception as error:
            logger.warning("no connection to the database: %s", named(error))
            raise DatabaseUnavailable from error


def drop_useless_connections(engine: Engine) -> None:
    """Drop connections that the server stopped answering, or that turn out to be read-only."""
    dialect = dialects.dialect_of(engine.url)
    fault_of = dialect.fault_of

    @event.listens_for(engine, "connect")
    def note_age(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        record.info[OPENED] = monotonic()
        record.info[ALIVE] = dialect.liveness(connection)

    @event.listens_for(engine, "handle_error")
    def look(context: ExceptionContext) -> None:
        error = context.original_exception
        if isinstance(error, OSError) and context.sqlalchemy_exception is None:
            # Drivers raise these themselves, timeouts included; SQLAlchemy wraps errors of the database.
            context.is_disconnect = True
            context.invalidate_pool_on_disconnect = False
            raise OperationalError(
                context.statement, None, error, hide_parameters=True, connection_invalidated=True
            ) from error
        if fault_of(error) is Fault.READ_ONLY and context.connection:
            # A new one may reach another server by now, and so may all the others. But as long as
            # there is no other server, each write would replace all of them.
            context.is_disconnect = True
            age = monotonic() - context.connection.info[OPENED]
            context.invalidate_pool_on_disconnect = age > REPLACED_SECONDS


def test_idle_connections(engine: Engine) -> None:
    """Replace a connection that died while idle, before it is used: it is known to be closed, or does not answer."""

    @event.listens_for(engine, "checkin")
    def remember(connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info[IDLE_SINCE] = monotonic()

    @event.listens_for(engine, "checkout")
    def ping(
        connection: DBAPIConnection, record: ConnectionPoolEntry, proxy: PoolProxiedConnection
    ) -> None:
        info = record.info
        if not info[ALIVE]():
            raise DisconnectionError
        if IDLE_SINCE not in info or monotonic() - info[IDLE_SINCE] < IDLE_SECONDS:
            return
        try:
            await_(answer(engine.dialect, connection))
        except (engine.dialect.loaded_dbapi.Error, OSError) as error:
            raise DisconnectionError from error


async def answer(dialect: Dialect, connection: DBAPIConnection) -> None:
    """Raise unless the server soon answers on this connection."""
    async with asyncio.timeout(PING_SECONDS):
        await greenlet_spawn(dialect.do_ping, connection)
