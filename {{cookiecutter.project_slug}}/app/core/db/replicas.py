"""Replicas: databases that follow the primary, and answer what only shows rows.

What may lag, and nothing else, reads them: lists and details in requests that only read. A replica that cannot answer
is left out until it can, and the primary answers instead.
"""

import asyncio
import logging
import re
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from math import inf
from time import monotonic
from typing import Any, TypeVarTuple

from prometheus_client import Gauge
from sqlalchemy import URL, Connection, Result, Row, Select, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import ORMExecuteState, Session
from sqlalchemy.util import await_

from app.core.db import engine as engines, migrations
from app.core.db.base import Base
from app.core.db.carried import ENGINE
from app.core.db.dialects.access import UnsafeLoginError
from app.core.db.errors import (
    DatabaseReadOnly,
    DatabaseTimeout,
    DatabaseUnavailable,
    named,
)
from app.core.db.freshness import freshness, note_writes
from app.core.db.refusals import place
from app.core.db.session import Database, failure_of, from_engine, probe, reading, telling_outages
from app.core.settings import Settings

logger = logging.getLogger(__name__)

VARIABLE = "DATABASE_REPLICA_URLS"
LEFT = "left_replica"
"""In a session's `info`: whether it has changed to the primary."""
CHECKS = 4
"""How often replicas are checked, at least, in the time that they may be behind."""
CHECK_SECONDS = 1.0
UNCHECKED = "not checked yet"
USED = Gauge(
    "database_replica_used",
    "Whether a replica is read from",
    ["replica"],
    multiprocess_mode="livemin",
)

Ts = TypeVarTuple("Ts")


class OnlyPrimary(Exception):
    """A statement about rows that only the primary is asked about."""


@dataclass(slots=True, eq=False)
class Replica:
    """One replica, and why it is not used, if it is not."""

    name: str
    database: Database
    reader: async_sessionmaker[AsyncSession]
    """Sessions that change to the primary if the replica cannot answer."""
    fault: str | None = UNCHECKED
    current: float = inf
    """It has whatever was written until then, as far as is known."""
    unsafe: UnsafeLoginError | None = None

    def turn(self, fault: str | None) -> None:
        """Use it, or not; log each change once."""
        if fault and fault != self.fault:
            logger.warning("the replica %s is left out: %s", self.name, fault)
        elif self.fault and not fault:
            logger.info("the replica %s is used", self.name)
        self.fault = fault
        USED.labels(self.name).set(not fault)


class Replicas:
    """The replicas of a primary."""

    def __init__(self, primary: Database, settings: Settings) -> None:
        self.primary = primary
        self.window = settings.database_read_after_seconds
        self.tolerated = self.window / 2
        """How many seconds a replica may be behind. The other half is for measuring it now and then."""
        self.turns = count()
        self.written: deque[tuple[float, Any]] = deque()
        """When the primary had written how much."""
        tables = {each.local_table for each in Base.registry.mappers if each.class_.from_primary}
        names = "|".join(sorted(re.escape(str(table)) for table in tables))
        self.closed = lru_cache(1024)(re.compile(rf"\b(?:{names})\b").search)
        self.all = [self.replica(url, settings) for url in settings.database_replica_urls]

    def replica(self, url: URL, settings: Settings) -> Replica:
        """The replica at this URL."""
        ours = settings.model_copy(update={"database_url": url})
        engine = engines.create_engine(ours, variable=VARIABLE)
        database = from_engine(engine, settings)
        event.listen(engine.sync_engine, "before_cursor_execute", self.look)
        database.reads.guard = self.guard
        database.reads.own_listeners += 1
        options: dict[str, Any] = {**database.reader.kw}
        kind = type("ReplicaSession", (options.pop("sync_session_class", Session),), {})
        reader = async_sessionmaker(**options, sync_session_class=kind)
        found = Replica(f"{place(url)}/{url.database}", database, reader)

        def ask(state: ORMExecuteState) -> Result[Any] | None:
            return self.asked(found, state)

        event.listen(kind, "do_orm_execute", ask, insert=True)
        return found

    def guard(self, sql: str) -> None:
        """Refuse what only the primary is asked about, such as credentials."""
        if self.closed(sql):
            raise OnlyPrimary

    def look(self, connection: Connection, cursor: object, statement: str, *_: object) -> None:
        """The same for what SQLAlchemy executes on a replica."""
        self.guard(statement)

    def carry(self, service: object) -> None:
        """Have the sessions refer to their service."""
        for each in self.all:
            each.database.carry(service)

    def state(self) -> str:
        """For the readiness check; the service does its work without any of them."""
        used = sum(not each.fault for each in self.all)
        return "ok" if used == len(self.all) else f"degraded: {used} of {len(self.all)} are used"

    def databases(self) -> Mapping[str, Database]:
        """The connections to each, by name."""
        return {each.name: each.database for each in self.all}

    def choice(self) -> Replica | None:
        """The next in turn, if the request may read a replica and one can be used."""
        found = freshness.get()
        if found is None or not found.may_lag:
            return None
        # Once a client's mark has expired, it may read what has everything that it wrote.
        since = monotonic() - self.window
        usable = [each for each in self.all if not each.fault and each.current > since]
        return usable[next(self.turns) % len(usable)] if usable else None

    async def entered(self) -> Replica | None:
        """The same, with a slot, which must be released."""
        if replica := self.choice():
            with suppress(DatabaseUnavailable):
                await replica.database.slots.enter()
                return replica
        return None

    async def rows(self, statement: Select[*Ts], values: Mapping[str, Any]) -> Sequence[Row[*Ts]]:
        """The answer to a statement that was built once, from a replica if possible."""
        if replica := await self.entered():
            try:
                return await replica.database.reads.rows(statement, values)
            except (OnlyPrimary, DBAPIError, DatabaseUnavailable) as error:
                if not await self.leaves(replica, error):
                    async with telling_outages(self.primary):
                        raise
            finally:
                replica.database.slots.release()
        return await self.primary.rows(statement, values)

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncSession]:
        """A session that reads from a replica, if possible."""
        replica = await self.entered()
        if replica is None:
            async with reading(self.primary) as session:
                yield session
            return
        left = False
        try:
            async with telling_outages(self.primary), replica.reader() as session:
                try:
                    yield session
                finally:
                    left = LEFT in session.info
        finally:
            replica.database.slots.release()
            if left:
                self.primary.slots.release()

    def asked(self, replica: Replica, state: ORMExecuteState) -> Result[Any] | None:
        """The answer to a statement of a session, which changes to the primary if the replica cannot answer."""
        session = state.session
        if LEFT in session.info:
            return None
        try:
            return state.invoke_statement()
        except (OnlyPrimary, DBAPIError, DatabaseUnavailable) as error:
            if LEFT not in session.info:  # a statement within this one may have left
                if not await_(self.leaves(replica, error)):
                    raise
                await_(self.primary.slots.enter())
                session.info[LEFT] = True
                session.info[ENGINE] = self.primary.info[ENGINE]
                session.bind = self.primary.reads.engine.sync_engine
        return state.invoke_statement()

    async def leaves(self, replica: Replica, error: Exception) -> bool:
        """Whether the primary is asked instead: not if the statement is wrong, or slow on a replica that answers."""
        if isinstance(error, OnlyPrimary):
            return True
        failure, why = error, reason(error)
        if isinstance(error, DBAPIError):
            failure, why = await failure_of(replica.database, error), named(error.orig)
        if isinstance(failure, DatabaseTimeout):
            await self.check(replica)
            return replica.fault is not None
        outage = (
            isinstance(failure, DatabaseUnavailable) and failure.state != DatabaseReadOnly.state
        )
        if outage and not replica.fault:  # else others have said so
            replica.turn(why)
        return failure is not None

    async def check(self, replica: Replica) -> None:
        """Use the replica if it answers, is migrated, and has what the primary had written a while ago."""
        try:
            replayed = await probe(replica.database, self.look_at)
        except Exception as error:  # noqa: BLE001, whatever it is, it cannot be used
            replica.unsafe = error if isinstance(error, UnsafeLoginError) else None
            replica.turn(reason(error))
            return
        fault: str | None = None
        if replayed is not None and not self.written:
            fault = "the primary does not say how much it has written"
        elif replayed is not None:
            at, position = self.written[0]
            if replayed < position:
                fault = f"more than {self.tolerated:g} seconds behind"
            else:
                replica.current = at
        replica.turn(fault)

    async def look_at(self, session: AsyncSession) -> Any:  # noqa: ANN401, the database's own
        """How much of what the primary has written a replica has."""
        await migrations.ahead(session)
        connection = await session.connection()
        return await connection.run_sync(self.primary.dialect.replayed)

    async def measure(self, session: AsyncSession) -> Any:  # noqa: ANN401, the database's own
        """How much the primary has written."""
        return await (await session.connection()).run_sync(self.primary.dialect.written)

    async def check_all(self) -> None:
        """Check each replica."""
        at = monotonic()
        with suppress(Exception):  # without a primary, they are measured by what it had written
            if (position := await probe(self.primary, self.measure)) is not None:
                self.written.append((at, position))
        while len(self.written) > 1 and self.written[1][0] < monotonic() - self.tolerated:
            self.written.popleft()
        await asyncio.gather(*(self.check(each) for each in self.all))

    async def watch(self) -> None:
        """Check them again and again."""
        while True:
            await asyncio.sleep(min(CHECK_SECONDS, self.tolerated / CHECKS))
            await self.check_all()


def reason(error: Exception) -> str:
    """Why it is not used."""
    return str(error.__cause__ or error)


@asynccontextmanager
async def replicated(database: Database, settings: Settings) -> AsyncGenerator[Database]:
    """The database, with its replicas if there are any."""
    if not settings.database_replica_urls:
        yield database
        return
    replicas = Replicas(database, settings)
    note_writes(database.info[ENGINE])
    try:
        await replicas.check_all()
        for each in replicas.all:
            if each.unsafe:
                raise each.unsafe
        watching = asyncio.create_task(replicas.watch())
        try:
            yield replace(database, replicas=replicas)
        finally:
            watching.cancel()
            await asyncio.wait([watching])
    finally:
        for each in replicas.all:
            await each.database.reads.engine.dispose()
