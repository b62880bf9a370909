"""What travels with the work, from a request into its log lines, keys and jobs."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import Scope

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier(Generic[T]):
    """One such thing. What is left out, it does not do."""

    variable: ContextVar[T]
    begin: Callable[[Scope], T] | None = None
    """Its value when a request or a WebSocket arrives."""
    resume: Callable[[Any], T]
    """Its value in a job, from the row of the job table."""
    record: Callable[[T], Mapping[str, Any]] = lambda _: {}
    """Columns of that row."""
    describe: Callable[[T], Mapping[str, Any]] = lambda _: {}
    """What log lines say of it."""
    partition: Callable[[AsyncSession | None], str] | None = None
    """Its part in a key (of a cache, a lock, a cursor) that those who differ in it must not share."""
