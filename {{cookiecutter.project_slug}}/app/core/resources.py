"""Resources that a feature keeps open while the process runs: a client, a pool, a subscription."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Resource(Generic[T]):
    """Opened with the service, and closed in reverse order.

    `app.core.service.Service.resource` returns what `open` yielded.
    """

    name: str
    """As shown by `/health/ready`."""
    open: Callable[[Any], AbstractAsyncContextManager[T]]
    """Takes the service as opened so far: settings, database, and earlier resources."""
    check: Callable[[T], Awaitable[str | None]] | None = None
    """Returns `ok`, a word or two on what is wrong, or nothing if nothing can be; called by `/health/ready`, with a time limit.

    Words that begin with `degraded` leave the service ready.
    """
