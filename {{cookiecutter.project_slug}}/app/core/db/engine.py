"""The engine: pool, time limits, and what happens on each connection."""

import logging
from functools import partial
from time import monotonic
from typing import Any

from sqlalchemy import Dialect, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from app.core.db import (
    dialects,
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenancy,
    # {% endif %}
)
from app.core.db.errors import DatabaseUnavailable
from app.core.db.refusals import Refused, opened
from app.core.settings import Settings

logger = logging.getLogger(__name__)

IDLE_SECONDS = 30.0  # below it a connection is trusted: testing each one costs a tenth of a read
RECYCLE_SECONDS = 1800


def create_engine(settings: Settings, *, log: bool = False) -> AsyncEngine:
    """The service's engine; `database_url` must be known by now. It may `log` why that is refused."""
    url = settings.database_url
    if url is None:
        raise ValueError("no database URL: open the embedded database first")
    dialect = dialects.dialect_of(url)
    engine = create_async_engine(
        url,
        echo=settings.debug,
        hide_parameters=not settings.debug,
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=settings.database_timeout,
        pool_recycle=RECYCLE_SECONDS,
        connect_args=dialect.connect_args(url, timeout=settings.database_timeout),
    )
    dialect.configure(engine.sync_engine, role=settings.database_role, deployed=settings.deployed)
    for watch in [
        partial(report_refusals, log=log),
        test_idle_connections,
        # {% if cookiecutter.multi_tenancy == "row" %}
        tenancy.watch,
        # {% endif %}
    ]:
        watch(engine.sync_engine)
    return engine


def report_refusals(engine: Engine, *, log: bool) -> None:
    """Say `DatabaseUnavailable` when a connection cannot be opened, whatever the driver raises."""
    told: str | None = None

    @event.listens_for(engine, "do_connect")
    def open_connection(
        dialect: Dialect, record: ConnectionPoolEntry, args: list[Any], kwargs: dict[str, Any]
    ) -> DBAPIConnection:
        nonlocal told
        try:
            connection = opened(
                engine.url, "DATABASE_URL", lambda: dialect.connect(*args, **kwargs)
            )
        except Refused as refusal:
            if log and str(refusal) != told:  # once, however many requests and jobs run into it
                logger.warning("%s", refusal)
            told = str(refusal)
            raise DatabaseUnavailable from refusal
        if log and told:
            logger.warning("the database can be reached again")
        told = None
        return connection


def test_idle_connections(engine: Engine) -> None:
    """Replace a connection that died while nobody used it, before anybody notices."""

    @event.listens_for(engine, "checkin")
    def remember(connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info["idle_since"] = monotonic()

    @event.listens_for(engine, "checkout")
    def ping(
        connection: DBAPIConnection, record: ConnectionPoolEntry, proxy: PoolProxiedConnection
    ) -> None:
        if monotonic() - record.info.get("idle_since", monotonic()) < IDLE_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error
