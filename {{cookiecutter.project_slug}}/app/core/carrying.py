"""Context that is carried from a request into its log lines, keys and jobs."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import Scope

T = TypeVar("T")

EVERY = "*"
"""The part of a key that belongs to all values, and to none of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier(Generic[T]):
    """One value of the context; functions that are left out do nothing."""

    variable: ContextVar[T]
    begin: Callable[[Scope], T] | None = None
    """Its value when a request or a WebSocket arrives."""
    resume: Callable[[Any], T]
    """Its value in a job, from the row of the job table."""
    record: Callable[[T], Mapping[str, Any]] = lambda _: {}
    """Its columns in that row."""
    describe: Callable[[T], Mapping[str, Any]] = lambda _: {}
    """Its fields in log lines."""
    partition: Callable[[AsyncSession | None], str] | None = None
    """Its part of a key (of a cache, lock or cursor) that different values must not share."""
