"""The caller, and how features authenticate one."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi.security.base import SecurityBase
from sqlalchemy import Row, Select
from starlette.requests import HTTPConnection

EVERYTHING = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """An authenticated caller."""

    user_id: UUID
    permissions: frozenset[str]
    session_id: UUID | None = None
    signed_in_at: datetime | None = None
    """When the caller last proved who they are; unknown without a session."""
    account: Sequence[Row[Any]] = field(default=(), repr=False, compare=False)
    """What authentication has read of the caller's account; nothing, if the scheme reads none."""

    def subjects(self) -> Mapping[str, UUID]:
        """Whom the caller's requests count against, by kind."""
        return {"user": self.user_id}

    def holds(self, permissions: set[str] | frozenset[str]) -> bool:
        """Whether the caller has all of these permissions."""
        return EVERYTHING in self.permissions or permissions <= self.permissions


@dataclass(frozen=True, slots=True)
class Question:
    """The one query that authenticates a caller, and how its result is read."""

    statement: Select[*tuple[Any, ...]]
    """Selects from `User`; columns and outer joins may be added. Built once, not for each request."""
    values: Mapping[str, Any]
    """The values of the statement's bind parameters, `user_id` among them."""
    answer: Callable[[Sequence[Row[Any]]], Principal]
    """Raises `Unauthorized` if the rows do not authenticate the caller."""


Admit = Callable[[HTTPConnection, Mapping[str, UUID], int], Awaitable[None]]
"""Refuses a request by raising a failure; takes the subjects, none for an unknown caller, and the weight."""
Ask = Callable[[HTTPConnection], Awaitable[Question | None]]
Narrow = Callable[[HTTPConnection, Question], Question]
"""Narrows the principal, such as to one customer: extends the query, and how its result is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """A way to authenticate. Those of all features are tried in order, on requests and WebSockets."""

    name: str
    """In OpenAPI's `securitySchemes`, and in `Actor.via`."""
    described: SecurityBase
    """How OpenAPI describes it."""
    ask: Ask
    """Returns `None` if the connection has no credentials of this kind; raises if they are invalid."""
