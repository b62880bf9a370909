"""What a feature keeps open for as long as the process runs: a client, a pool, a subscription."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Resource(Generic[T]):
    """Opened with the service and closed after everything that was opened later.

    `app.core.service.Service.resource` gives what `open` yielded.
    """

    name: str
    """In the answer of `/health/ready`."""
    open: Callable[[Any], AbstractAsyncContextManager[T]]
    """Takes the service as it is by then: settings, database, and resources opened earlier."""
    check: Callable[[T], Awaitable[str]] | None = None
    """`ok`, or what is wrong in a word or two; asked by `/health/ready`, and bounded in time."""
