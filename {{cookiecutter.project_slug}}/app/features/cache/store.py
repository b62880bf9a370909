"""Where results are kept: in this process, or in Redis for all of them."""

import asyncio
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from time import monotonic, time
from typing import TYPE_CHECKING, Self, TypeVar
from uuid import uuid4

import structlog
from prometheus_client import Counter
from pydantic_core import from_json, to_json

from app.features.cache.memory import Memory

if TYPE_CHECKING:
    from cashews.backends.redis import Redis

log = structlog.stdlib.get_logger(__name__)

SECONDS = 0.5
"""How long Redis may take to answer, with waiting for a connection: a request waits for it."""
PAUSE = 1.0
"""Seconds for which a Redis that did not answer is not asked again."""
CONNECTIONS = 20
LONGEST = 7 * 24 * 3600.0
"""Seconds for which tags are remembered; no result may be kept longer."""
LOADING = 10.0
"""Seconds for which other processes wait for one that loads; after them, another does."""
POLL = 0.02
"""Seconds after which they look again."""

ERRORS = Counter("cache_errors", "How often Redis did not answer the cache in time")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kept:
    """A result that was kept, and what its tags were when it was loaded."""

    tags: Sequence[str]
    until: float
    """When it should be loaded again, in seconds since 1970."""
    content: bytes

    @classmethod
    def read(cls, stored: object) -> Self | None:
        """What was stored; nothing if it is not one of these."""
        if isinstance(stored, bytes):
            head, _, content = stored.partition(b"\n")
            with suppress(ValueError, TypeError, OverflowError):
                tags, until = from_json(head)
                return cls(tags, float(until), content)
        return None

    def stored(self) -> bytes:
        """As bytes."""
        return to_json([self.tags, self.until]) + b"\n" + self.content

    def is_fresh(self) -> bool:
        """Whether it need not be loaded again yet."""
        return time() < self.until


@dataclass(frozen=True, slots=True)
class Found:
    """What there is, and the present tags, with which a new result would be kept."""

    kept: Kept | None = None
    tags: Sequence[str] | None = None
    """None while Redis does not answer: then nothing can be kept."""


class Store:
    """Results by key, each of which is invalidated with its tags.

    A tag has a random value, and loses it when it is invalidated: a result is found only while its tags have the values that they
    had *before* it was loaded, so that one loaded meanwhile is not kept as if it were new.
    """

    def __init__(
        self, backend: "Redis | Memory", prefix: str, failures: tuple[type[Exception], ...] = ()
    ) -> None:
        self.backend = backend
        self.prefix = prefix
        self.failures = failures
        """What the backend raises if it does not answer."""
        self.away_until = 0.0
        self.lines = asyncio.Semaphore(CONNECTIONS)
        self.owed: set[str] = set()
        """The tags that could not be invalidated yet."""
        self.paying: asyncio.Task[None] | None = None

    def named(self, *parts: str) -> str:
        """A key that other services in the same Redis do not have."""
        return ":".join((self.prefix, *parts))

    async def ask(self, question: Callable[[], Awaitable[T]], otherwise: T) -> T:
        """The answer; `otherwise` this one, if Redis does not answer in time."""
        if monotonic() < self.away_until:
            return otherwise
        try:
            async with asyncio.timeout(SECONDS), self.lines:
                return await question()
        except (*self.failures, TimeoutError) as error:
            ERRORS.inc()
            log.warning("cache_unavailable", error=type(error.__cause__ or error).__name__)
            self.away_until = monotonic() + PAUSE
            return otherwise

    async def find(self, key: str, tags: Sequence[str]) -> Found:
        """The result with this key, if its tags have not been invalidated."""

        async def look() -> Found:
            await self.pay()
            stored, *present = await self.backend.get_many(key, *tags)
            if missing := [tag for tag, value in zip(tags, present, strict=True) if not value]:
                for tag in missing:
                    await self.backend.set(tag, uuid4().hex.encode(), expire=LONGEST, exist=False)
                present = await self.backend.get_many(*tags)
            values = [str(each, "latin-1") for each in present if isinstance(each, bytes)]
            kept = Kept.read(stored)
            return Found(kept if kept and kept.tags == values else None, values)

        return await self.ask(look, Found())

    async def keep(self, key: str, kept: Kept, seconds: float) -> None:
        """Keep a result for at most so long."""
        content, limit = kept.stored(), min(seconds, LONGEST)
        await self.ask(lambda: self.backend.set(key, content, expire=limit), False)

    async def invalidate(self, tags: Sequence[str]) -> None:
        """Have no result found that has one of these; if Redis does not answer, as soon as it does."""
        self.owed.update(tags)
        await self.ask(self.pay, None)
        if self.owed and self.paying is None:
            self.paying = asyncio.create_task(self.pay_later())

    async def pay(self) -> None:
        """Invalidate what could not be. Deleting works in a Redis that is full, too."""
        if owed := {*self.owed}:
            self.owed -= owed
            try:
                await self.backend.delete_many(*owed)
            except BaseException:
                self.owed |= owed
                raise

    async def pay_later(self) -> None:
        """Try again until it works."""
        while self.owed:
            await asyncio.sleep(PAUSE)
            await self.ask(self.pay, None)
        self.paying = None

    @asynccontextmanager
    async def alone(self, key: str) -> AsyncGenerator[None]:
        """Let one process at a time load this, as long as Redis answers."""
        lock, holder = f"{key}:lock", uuid4().hex
        while not await self.ask(  # noqa: ASYNC110, other processes hold it
            lambda: self.backend.set_lock(lock, holder, LOADING), otherwise=True
        ):
            await asyncio.sleep(POLL)
        try:
            yield
        finally:
            await self.ask(lambda: self.backend.unlock(lock, holder), otherwise=True)

    async def check(self) -> str | None:
        """Without its Redis the service is slower, and does all it should."""
        if isinstance(self.backend, Memory):
            return None
        degraded = "degraded: Redis does not answer, nothing is cached"
        return "ok" if await self.ask(self.backend.ping, None) else degraded

    async def close(self) -> None:
        """Invalidate nothing more."""
        if self.paying:
            self.paying.cancel()
            await asyncio.wait([self.paying])


@asynccontextmanager
async def kept_here(entries: int, prefix: str) -> AsyncGenerator[Store]:
    """In this process; the number of entries bounds it, so that nothing needs to look for those that have expired."""
    yield Store(Memory(entries), prefix)


@asynccontextmanager
async def kept_in_redis(url: str, prefix: str) -> AsyncGenerator[Store]:
    """For all processes."""
    from cashews.backends.redis import Redis  # noqa: PLC0415, it takes long, and not all need it
    from cashews.exceptions import CacheBackendInteractionError  # noqa: PLC0415
    from cashews.serialize import Serializer  # noqa: PLC0415

    backend = Redis(
        url,
        suppress=False,
        serializer=Serializer(),  # as bytes: what is in Redis must not be run, as a pickle would be
        max_connections=CONNECTIONS,
        wait_for_connection_timeout=SECONDS,
        socket_timeout=SECONDS,
        socket_connect_timeout=SECONDS,
    )
    store = Store(backend, prefix, (CacheBackendInteractionError,))
    await store.ask(backend.init, None)
    try:
        yield store
    finally:
        await store.close()
        with warnings.catch_warnings(
            action="ignore"
        ):  # `close` of the client has another name by now
            await backend.close()
