"""Whom a service calls, and what it expects of them."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from httpx2 import Request, Response

# Entered around each attempt, and called with the response; it may add headers, which reach no `Anywhere`.
Watch = Callable[["Request"], AbstractContextManager[Callable[["Response"], None]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A service that is called, and how much is expected of it; what is learned of it is kept by its name."""

    name: str
    """For metrics and logs: a constant, never a user's text."""
    base_url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Sent with each call, such as a key."""
    timeout_seconds: float = 10.0
    """For one attempt, from waiting for a place to the last byte of the response."""
    attempts: int = 3
    backoff_seconds: float = 1.0
    """The maximum delay before the first retry; it doubles each time."""
    concurrent: int = 20
    """How many calls each process makes at once, and `waiting` how many wait for their turn."""
    waiting: int = 40
    failures: int = 5
    """After how many in succession it is left alone for `rest_seconds`; 0 is never."""
    rest_seconds: float = 30.0
    max_bytes: int = 10 * 1024**2
    """Of a response, compressed or not."""

    def url(self, path: str) -> str:
        """The URL of a path, which cannot lead to another server."""
        if not path.startswith("/") or ".." in path.partition("?")[0].split("/"):
            raise ValueError(f"{self.name}: a path begins with /, and leads to nothing above it")
        return self.base_url.rstrip("/") + path


@dataclass(frozen=True, slots=True, kw_only=True)
class Anywhere(Destination):
    """URLs that come from users: they lead to public addresses only, and see nothing of the service.

    One server that fails says nothing of the others, so it has no retries and no circuit breaker, unless wanted.
    """

    attempts: int = 1
    failures: int = 0
    max_bytes: int = 1024**2
    ports: tuple[int, ...] = (80, 443)
    plain: bool = False
    """Whether http:// is allowed where the service is deployed."""
    redirects: int = 3
    """How many are followed, for GET and HEAD."""
    networks: tuple[str, ...] = ()
    """Networks that are allowed although they are not public, such as 10.1.0.0/16."""

    def url(self, path: str) -> str:
        """The URL itself."""
        return path


class Call(NamedTuple):
    """What is asked of whom."""

    destination: Destination
    method: str
    url: str
    headers: Mapping[str, str]
    """In lower case."""
    body: Mapping[str, Any]
