"""Setting a session's tenant in PostgreSQL, whose policies are the second line of defense."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import SessionTransaction
from sqlalchemy.pool import ConnectionPoolEntry, ManagesConnection, PoolProxiedConnection

from app.core.db.carried import ENGINE
from app.core.db.dialects.postgresql import DriverConnection
from app.core.db.tenancy.reads import TenantReads
from app.core.db.tenancy.sessions import TenantSession
from app.core.tenancy import AllTenants, Scope, current

BACKEND = "postgresql"
EVERY = "all"
SET = "SELECT set_config('app.tenant_id', '{}', true)"
"""For this transaction only."""


class TenantConnection(DriverConnection):
    """Sends the tenant with the BEGIN of a transaction, in one round trip."""

    opening = ""
    """What is sent with the next BEGIN."""

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:  # noqa: ANN401, ASYNC109, asyncpg's
        """Execute it; asyncpg begins transactions here."""
        if self.opening and query.startswith("BEGIN"):
            query, self.opening = f"{query} {self.opening}", ""
        return await super().execute(query, *args, timeout=timeout)  # pyright: ignore[reportUnknownMemberType]


class PolicySession(TenantSession):
    """Sets its tenant at the start of each transaction, and for that transaction only."""

    def get_bind(self, *args: Any, **options: Any) -> Engine | Connection:  # noqa: ANN401
        """Reads in a tenant run in a transaction too: the setting is local to it."""
        bind = super().get_bind(*args, **options)
        if self.scope is None or bind.dialect.name != BACKEND or isinstance(bind, Connection):
            return bind
        return self.info[ENGINE]


@event.listens_for(PolicySession, "after_begin")
def say(session: PolicySession, transaction: SessionTransaction, connection: Connection) -> None:
    """Set the tenant; without one only if another session may have set it in this transaction."""
    shared = connection.in_nested_transaction()
    if connection.dialect.name == BACKEND and (session.scope is not None or shared):
        statement = SET.format(setting(session.scope))
        driver = opening_of(connection.connection)
        if driver is not None and not driver.is_in_transaction():
            driver.opening = statement
        else:
            connection.execute(text(statement))


class PolicyReads(TenantReads):
    """Sets the tenant at the start of each transaction, as sessions do."""

    def needs_no_transaction(self) -> bool:
        """The rows of a tenant are visible only in one that says which."""
        return current() is None

    def begin(self, connection: PoolProxiedConnection) -> None:
        """Within a tenant read in a transaction: the setting is local to it."""
        tenant_id, driver = current(), opening_of(connection)
        if tenant_id is None or driver is None:
            super().begin(connection)
        else:
            driver.opening = SET.format(tenant_id)

    def end(self, connection: PoolProxiedConnection) -> None:
        """The pool ends the transaction of a read within a tenant."""
        if current() is None or opening_of(connection) is None:
            super().end(connection)

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[AsyncConnection]:
        """The same for a connection on which SQLAlchemy executes statements."""
        async with super().connection() as connection:
            tenant_id, driver = current(), opening_of(await connection.get_raw_connection())
            if tenant_id is not None and driver is not None:
                level = self.dialect.default_isolation_level
                await connection.execution_options(isolation_level=level)
                driver.opening = SET.format(tenant_id)
            yield connection


def watch(engine: Engine) -> None:
    """Have all connections of this engine send the tenant so, and never that of an earlier session."""
    if engine.dialect.name == BACKEND and not event.contains(engine, "checkin", forget):
        event.listen(engine, "connect", adopt)
        event.listen(engine, "checkin", forget)


def adopt(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    """Change the class of a new connection: the code that opens it does not know about tenants."""
    driver: Any = record.driver_connection
    driver.__class__ = TenantConnection


def forget(connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
    """Discard what a session left that began no transaction."""
    if (driver := opening_of(record)) is not None:
        driver.opening = ""


def opening_of(connection: ManagesConnection) -> TenantConnection | None:
    """The driver's connection, if it is of this kind; to `isinstance`, all of asyncpg's are."""
    driver: Any = connection.driver_connection
    return driver if type(driver) is TenantConnection else None


def setting(scope: Scope) -> str:
    """A scope as the policies read it."""
    return EVERY if isinstance(scope, AllTenants) else str(scope or "")
