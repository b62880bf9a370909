"""Who is calling, and how a feature finds that out."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
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

    def holds(self, permissions: set[str] | frozenset[str]) -> bool:
        """Whether all of these are among the caller's."""
        return EVERYTHING in self.permissions or permissions <= self.permissions


@dataclass(frozen=True, slots=True)
class Question:
    """What the database is asked about a caller, in one statement, and what its answer means."""

    user_id: UUID
    statement: Select[Any]
    """About `User`; columns and outer joins may be added."""
    answer: Callable[[Sequence[Row[Any]]], Principal]
    """Raises an `Unauthorized` when the rows prove nothing."""


Ask = Callable[[HTTPConnection], Awaitable[Question | None]]
Narrow = Callable[[HTTPConnection, Question], Question]
"""Narrows the principal, say to one customer: it asks more, and makes more of the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """A way to authenticate. Those of all features are tried in order, on requests and WebSockets."""

    name: str
    """In OpenAPI's `securitySchemes`, and in `Actor.via`."""
    described: SecurityBase
    """How OpenAPI describes it."""
    ask: Ask
    """Nothing when the connection presents no credentials of this kind; raises when they are bad."""
