"""Statements that are built once, and read on the driver's own connection.

For a small query SQLAlchemy's connection, transaction, context and result cost several times what the query does. They
are not needed for a SELECT whose SQL, parameters and types are known beforehand.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from functools import cached_property, lru_cache
from typing import Any, Generic, TypeVarTuple, cast

from sqlalchemy import Column, Dialect, Label, Row, Select
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor, IsolationLevel
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.types import TypeEngine
from sqlalchemy.util import greenlet_spawn

from app.core.db.dialects import BY_SCHEME, Fetch
from app.core.db.dialects.again import forget_prepared, is_lost, is_stale
from app.core.db.dialects.faults import Fault

Ts = TypeVarTuple("Ts")
Process = Callable[[Any], Any]

REMEMBERED = 256
"""How many statements stay compiled: each is a constant of the code, or one of few variants."""


class ConnectionLost(Exception):
    """The connection was lost before there was an answer; what only reads can be asked again."""


class Prepared(Generic[*Ts]):
    """A SELECT of columns, compiled for a database; what changes from call to call are bind parameters."""

    def __init__(self, statement: Select[*Ts], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        if compiled.post_compile_params or compiled.literal_execute_params:
            raise TypeError(
                "the number of this statement's parameters depends on their values, as with"
                " `in_`: execute it in a session"
            )
        if any(bind.callable for bind in compiled.binds.values()):
            raise TypeError("this statement computes a parameter: give its value instead")
        if any(not isinstance(each, Column | Label) for each in statement.selected_columns):
            raise TypeError("give each expression that this statement selects a name, with `label`")
        self.sql = compiled.string
        self.dialect = dialect
        binds = [(name, compiled.binds[name]) for name in compiled.positiontup or ()]
        self.parameters = [(name, processor(bind.type, dialect)) for name, bind in binds]
        self.constants = {name: bind.value for name, bind in binds if not bind.required}
        columns = statement.selected_columns
        self.types = [column.type for column in columns]
        # SQLAlchemy's own rows look up each attribute by its name, which costs more than all the rest of a page.
        named: Any = namedtuple("Row", columns.keys())  # pyright: ignore[reportUntypedNamedTuple]
        self.row = cast("Callable[[Sequence[Any]], Row[*Ts]]", named._make)
        self.converting: list[tuple[int, Process]] | None = None
        """The columns that are not returned as the driver reads them; known with the first result."""

    def read(
        self, connection: PoolProxiedConnection, arguments: tuple[Any, ...]
    ) -> Sequence[Row[*Ts]]:
        """All rows, by the `arguments` for the parameters; within SQLAlchemy's greenlet."""
        cursor = connection.cursor()
        try:
            cursor.execute(self.sql, arguments)
            found = cursor.fetchall()
        except (self.dialect.loaded_dbapi.Error, OSError) as error:
            raise self.failure(connection, cursor, error) from error
        except BaseException:
            connection.invalidate()  # its answer may still come
            raise
        if self.converting is None:
            self.converting = self.conversions(cursor)
        cursor.close()
        return self.rows(found)

    async def fetch(
        self, fetch: Fetch, connection: PoolProxiedConnection, arguments: tuple[Any, ...]
    ) -> Sequence[Row[*Ts]]:
        """The same, by the driver itself; outside that greenlet, each switch to which costs half as much as the driver does."""
        try:
            found = await fetch(connection, self.sql, arguments)
        except (self.dialect.loaded_dbapi.Error, OSError) as error:
            raise await greenlet_spawn(self.failure, connection, None, error) from error
        except BaseException:
            await greenlet_spawn(connection.invalidate)
            raise
        return self.rows(found)

    def rows(self, found: Sequence[Sequence[Any]]) -> Sequence[Row[*Ts]]:
        """What the driver has read, with values of the columns' types."""
        if self.converting:
            found = [list(values) for values in found]
            for values in found:
                for position, process in self.converting:
                    values[position] = process(values[position])
        return [*map(self.row, found)]

    def arguments(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """The values in the order of the SQL's parameters, as the driver takes them."""
        known = {**self.constants, **values} if self.constants else values
        return tuple(
            process(known[name]) if process else known[name] for name, process in self.parameters
        )

    def conversions(self, cursor: DBAPICursor) -> list[tuple[int, Process]]:
        """What makes the driver's values those of the columns' types, by position; most are already."""
        codes = [column[1] for column in cursor.description or ()]
        processes = [
            kind.dialect_impl(self.dialect).result_processor(self.dialect, code)
            for kind, code in zip(self.types, codes, strict=True)
        ]
        return [(n, each) for n, each in enumerate(processes) if each]

    def failure(
        self, connection: PoolProxiedConnection, cursor: DBAPICursor | None, error: Exception
    ) -> Exception:
        """What SQLAlchemy would raise; a connection that is lost, or does not answer, leaves the pool."""
        dialect: Any = self.dialect
        dbapi = dialect.loaded_dbapi
        late = BY_SCHEME[dialect.name].fault_of(error) is Fault.LATE
        stale, lost = is_stale(dialect, error), is_lost(dialect, connection, cursor, error)
        if lost or stale:
            connection.invalidate(error)
        if stale or (lost and not late):
            forget_prepared(dialect)
            return ConnectionLost()
        if isinstance(error, OSError):
            return OperationalError(
                self.sql, None, error, hide_parameters=True, connection_invalidated=True
            )
        return DBAPIError.instance(
            self.sql,
            None,
            error,
            dbapi.Error,
            hide_parameters=True,
            connection_invalidated=lost,
            dialect=dialect,
        )


class Reads:
    """Executes prepared statements, each on a connection of its own."""

    own_listeners = 0
    """How many listeners to statements need not hear of these."""
    guard: Callable[[str], None] | None = None
    """What refuses statements by their text."""
    around: Callable[[str], AbstractContextManager[object]] | None = None
    """What follows them, by their text."""

    def __init__(self, engine: AsyncEngine, fetch: Fetch | None = None) -> None:
        self.engine = engine
        """Its connections have the options of sessions that only read."""
        self.fetch = fetch
        self.prepared = lru_cache(maxsize=REMEMBERED)(self.prepare)

    @property
    def dialect(self) -> Dialect:
        """SQLAlchemy's adapter for the database."""
        return self.engine.sync_engine.dialect

    @property
    def watched(self) -> bool:
        """Whether something follows every statement, such as a tracer."""
        engine = self.engine.sync_engine
        before, after = engine.dispatch.before_cursor_execute, engine.dispatch.after_cursor_execute
        others = len(before) + len(after) + len(engine.dispatch.before_execute)
        return bool(engine.echo) or others > self.own_listeners

    def prepare(self, statement: Select[Any]) -> Prepared[Any]:
        """Compile the statement, which then is not compiled again."""
        return Prepared(statement, self.dialect)

    async def rows(self, statement: Select[*Ts], values: Mapping[str, Any]) -> Sequence[Row[*Ts]]:
        """The answer to the statement, asked again if its connection turns out to be lost."""
        statement, values = self.within(statement, values)
        if not self.watched:
            with suppress(ConnectionLost):
                if self.fetch and self.needs_no_transaction():
                    return await self.fetched(self.fetch, statement, values)
                return await greenlet_spawn(self.read, statement, values)
        async with self.connection() as connection:
            return (await connection.execute(statement, values)).all()

    def within(
        self, statement: Select[*Ts], values: Mapping[str, Any]
    ) -> tuple[Select[*Ts], Mapping[str, Any]]:
        """What is executed for the current context."""
        return statement, values

    def connection(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection on which SQLAlchemy executes statements."""
        return self.engine.connect()

    async def fetched(
        self, fetch: Fetch, statement: Select[*Ts], values: Mapping[str, Any]
    ) -> Sequence[Row[*Ts]]:
        """The answer that the driver itself gives; SQLAlchemy's adapter gives the first, which shows what must be converted."""
        connection = await greenlet_spawn(self.engine.sync_engine.raw_connection)
        try:
            prepared, arguments = self.ready(statement, values)
            if prepared.converting is None:
                return await greenlet_spawn(self.read_on, connection, prepared, arguments)
            if self.around is None:
                return await prepared.fetch(fetch, connection, arguments)
            with self.around(prepared.sql):
                return await prepared.fetch(fetch, connection, arguments)
        finally:
            await greenlet_spawn(connection.close)

    def needs_no_transaction(self) -> bool:
        """Whether what is read depends on nothing that is set for a transaction."""
        return True

    def read(self, statement: Select[*Ts], values: Mapping[str, Any]) -> Sequence[Row[*Ts]]:
        """The answer, within SQLAlchemy's greenlet."""
        connection = self.engine.sync_engine.raw_connection()
        try:
            return self.read_on(connection, *self.ready(statement, values))
        finally:
            connection.close()

    def ready(
        self, statement: Select[*Ts], values: Mapping[str, Any]
    ) -> tuple[Prepared[*Ts], tuple[Any, ...]]:
        """The statement and its arguments, which may be executed.

        It is compiled once there has been a connection: what the server supports is known by then.
        """
        prepared = cast("Prepared[*Ts]", self.prepared(statement))
        arguments = prepared.arguments(values)
        self.check(cast("Prepared[*tuple[Any, ...]]", prepared), arguments)
        if self.guard:
            self.guard(prepared.sql)
        return prepared, arguments

    def read_on(
        self,
        connection: PoolProxiedConnection,
        prepared: Prepared[*Ts],
        arguments: tuple[Any, ...],
    ) -> Sequence[Row[*Ts]]:
        """The answer on this connection."""
        self.begin(connection)
        try:
            if self.around is None:
                return prepared.read(connection, arguments)
            with self.around(prepared.sql):
                return prepared.read(connection, arguments)
        finally:
            self.end(connection)

    def check(self, prepared: Prepared[*tuple[Any, ...]], arguments: tuple[Any, ...]) -> None:
        """Refuse what may not be executed."""

    @cached_property
    def level(self) -> IsolationLevel | None:
        """The isolation level of sessions that only read, if it is not that of the others."""
        return self.engine.sync_engine.get_execution_options().get("isolation_level")

    def begin(self, connection: PoolProxiedConnection) -> None:
        """Have the connection read as sessions that only read do."""
        if self.level:
            driver = cast("DBAPIConnection", connection.dbapi_connection)
            self.dialect.set_isolation_level(driver, self.level)

    def end(self, connection: PoolProxiedConnection) -> None:
        """Leave the connection as it was."""
        if self.level and connection.is_valid:
            self.dialect.reset_isolation_level(cast("DBAPIConnection", connection.dbapi_connection))


def processor(kind: TypeEngine[Any], dialect: Dialect) -> Process | None:
    """How values of this type become the driver's."""
    return kind.dialect_impl(dialect).bind_processor(dialect)
