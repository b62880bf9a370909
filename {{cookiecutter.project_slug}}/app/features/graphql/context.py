"""What the fields of one request share: its caller, its loaders, and one connection at a time."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from graphql import DocumentNode
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection
from strawberry.dataloader import DataLoader
from strawberry.types import Info as AnyInfo

from app.core.carriers import CARRIERS
from app.core.carrying import Carrier
from app.core.db.base import utc_now
from app.core.db.session import reading, unit_of_work
from app.core.errors import Unauthorized
from app.core.routing import ABOUT, About
from app.core.security.access import anyone, authorize
from app.core.security.principal import Principal
from app.core.service import Service
from app.features.graphql.failures import OneAttempt

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller with regard to the service's own rows, or those of one customer."""

    connection: HTTPConnection
    principal: Principal
    carried: Sequence[tuple[Carrier[Any], Any]]


current: ContextVar[Caller] = ContextVar("graphql_caller")
"""The caller as the field that is being resolved has declared it."""


@dataclass(slots=True, eq=False)
class Context:
    """The context of one request."""

    connection: HTTPConnection
    service: Service
    document: DocumentNode
    """What is executed."""
    callers: dict[Hashable, asyncio.Task[Caller]] = field(
        default_factory=dict[Hashable, asyncio.Task[Caller]]
    )
    loaders: dict[Hashable, DataLoader[Any, Any]] = field(
        default_factory=dict[Hashable, DataLoader[Any, Any]]
    )
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Fields take turns, so that one request holds one connection, like any other."""

    arrived: datetime = field(default_factory=utc_now)
    attempted: bool = False
    stranger: Unauthorized | None = None
    """The refusal of the caller's credentials, whatever rows they are presented for."""
    known: bool = False
    """Whether a caller was authenticated."""

    def attempt(self) -> None:
        """Allow one attempt per request to present a secret, whatever it is called in the query."""
        if self.attempted:
            raise OneAttempt
        self.attempted = True

    @property
    def principal(self) -> Principal:
        """The caller of the field that is being resolved."""
        return current.get().principal

    async def caller(self, access: Any, about: About, path: Mapping[str, str]) -> Caller | None:  # noqa: ANN401, as on an endpoint
        """The caller, who holds what `access` names; `None` if the field is public.

        Each is authenticated once per query or mutation, in the same way as for an endpoint.
        """
        if access.dependency is anyone:
            return None
        key = (about, *path.items())
        if key not in self.callers:
            # In a task, as it sets context that only the fields which declare it may see.
            self.callers[key] = asyncio.create_task(self.authenticated(about, path))
        found = await self.callers[key]
        await authorize(found.connection, getattr(access, "scopes", None) or ())
        return found

    async def authenticated(self, about: About, path: Mapping[str, str]) -> Caller:
        """The caller, for fields about these rows."""
        scope = self.connection.scope
        connection = HTTPConnection(
            {**scope, ABOUT: about, "path_params": dict(path), "state": dict(scope["state"])}
        )
        async with self.turn:
            if self.stranger:
                raise self.stranger
            try:
                principal = await authorize(connection, ())
            except Unauthorized as refusal:
                self.stranger = refusal
                raise
        self.known = True
        return Caller(connection, principal, [(each, each.variable.get()) for each in CARRIERS])

    def forget(self) -> None:
        """Authenticate anew and read again: a mutation may have revoked the session, or a role."""
        self.callers.clear()
        self.loaders.clear()
        self.stranger = None

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncSession]:
        """A session for reads."""
        async with self.turn, reading(self.service.database, may_lag=True) as session:
            yield session

    @asynccontextmanager
    async def unit_of_work(self) -> AsyncGenerator[AsyncSession]:
        """A transaction of its own."""
        async with self.turn, unit_of_work(self.service.database) as session:
            yield session

    def loader(
        self,
        load: Callable[["Context", list[Key]], Awaitable[Sequence[Any]]],
        same: Hashable | None = None,
    ) -> DataLoader[Key, Any]:
        """The loader that collects keys while fields of the same kind are resolved.

        `same` is what the fields have in common, by default that they call this function.
        """
        key = (same or load, id(current.get()))
        if key not in self.loaders:
            self.loaders[key] = DataLoader(lambda keys: load(self, keys))
        return self.loaders[key]


Info = AnyInfo[Context, None]
