"""Results of functions, kept for a while.

`@cached(seconds=60, tags=["prices"])` keeps what a function returns for its arguments and the current customer, never for one caller:
who may see it is decided before. `invalidate(session, "prices")` has it loaded anew once the change is committed.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import wraps
from time import time
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast, get_type_hints
from uuid import UUID

import structlog
from prometheus_client import Counter
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.carriers import partition
from app.core.carrying import EVERY
from app.core.context import ANONYMOUS, actor
from app.core.db.freshness import only_primary
from app.core.db.session import Database, after_commit
from app.core.errors import Failure, Unavailable
from app.core.resources import Resource
from app.core.service import Service, service_of
from app.features.cache.settings import CacheSettings
from app.features.cache.store import Found, Kept, Store, kept_here, kept_in_redis

log = structlog.stdlib.get_logger(__name__)

RESULTS = Counter(
    "cache_results",
    "Results of cached functions: hit, miss (loaded, or waited for), or stale, as loading failed",
    ["result"],
)
HIT, MISS, STALE = (RESULTS.labels(each) for each in ("hit", "miss", "stale"))

P = ParamSpec("P")
T = TypeVar("T")
Load = Callable[[], Awaitable[bytes]]
ARGUMENTS = (type(None), bool, int, str, Decimal, UUID, date, Enum)
"""The types of arguments of cached functions, whose texts differ if they do."""


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """What is kept under a key, and for how long."""

    key: str
    tags: Sequence[str]
    seconds: float
    stale_seconds: float
    parse: Callable[[bytes], T]

    def content_of(self, found: Found, *, stale: bool = False) -> bytes | None:
        """The content that was found, if it is fresh, or need not be, and what it should be."""
        if found.kept and (stale or found.kept.is_fresh()):
            with suppress(ValidationError):
                self.parse(found.kept.content)
                return found.kept.content
        return None


Loading = tuple[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Cache:
    """The results of this service."""

    store: Store
    loading: dict[Loading, asyncio.Task[bytes]] = field(
        default_factory=dict[Loading, asyncio.Task[bytes]]
    )
    """What is being loaded, by key and present tags, so that all who need it wait for one that began after the last change."""

    async def get(self, entry: Entry[T], load: Load) -> T:
        """The result, loaded if there is no fresh one."""
        found = await self.store.find(entry.key, entry.tags)
        content = entry.content_of(found)
        (MISS if content is None else HIT).inc()
        if content is None:
            wanted = entry.key, tuple(found.tags or ())
            task = self.loading.get(wanted)
            if task is None:
                context = copy_context()
                context.run(actor.set, ANONYMOUS)  # what is loaded is for others, too
                task = asyncio.create_task(self.load(entry, load), context=context)
                self.loading[wanted] = task
                task.add_done_callback(lambda done: self.forget(wanted, done))
            content = await asyncio.shield(task)  # a request may be cancelled; the others stay
        return entry.parse(content)

    def forget(self, wanted: Loading, done: asyncio.Task[bytes]) -> None:
        """It is loaded, or has failed, perhaps after all who waited were gone."""
        del self.loading[wanted]
        if not done.cancelled():
            done.exception()

    async def load(self, entry: Entry[Any], load: Load) -> bytes:
        """Load it, unless another process has meanwhile; if that fails, the last result is better than none."""
        only_primary()  # a replica may still have what was invalidated
        async with self.store.alone(entry.key):
            found = await self.store.find(entry.key, entry.tags)
            if content := entry.content_of(found):
                return content
            try:
                content = await load()
            except Exception as error:
                answers = isinstance(error, Failure) and not isinstance(error, Unavailable)
                last = None if answers else entry.content_of(found, stale=True)
                if last is None:
                    raise
                log.warning("cache_served_stale", exc_info=error)
                STALE.inc()
                return last
            if found.tags is not None:
                kept = Kept(found.tags, time() + entry.seconds, content)
                await self.store.keep(entry.key, kept, entry.seconds + entry.stale_seconds)
            return content

    async def close(self) -> None:
        """Load nothing more."""
        for task in (*self.loading.values(),):
            task.cancel()
        await asyncio.gather(*self.loading.values(), return_exceptions=True)


@asynccontextmanager
async def opened(service: Service) -> AsyncGenerator[Cache]:
    """Kept in Redis if there is one, and otherwise in this process."""
    url, prefix = service.settings.redis_url, f"{service.settings.issuer}:cache"
    entries = service.of(CacheSettings).entries
    place = kept_in_redis(url.get_secret_value(), prefix) if url else kept_here(entries, prefix)
    async with place as store:
        cache = Cache(store)
        try:
            yield cache
        finally:
            await cache.close()


async def check(cache: Cache) -> str | None:
    """Whether results are kept."""
    return await cache.store.check()


caching = Resource("cache", opened, check)


def cached(
    *, seconds: float, tags: Sequence[str] = (), stale_seconds: float | None = None
) -> Callable[
    [Callable[Concatenate[Database, P], Awaitable[T]]],
    Callable[Concatenate[Database, P], Awaitable[T]],
]:
    """Keep what a function returns for its arguments and the current customer.

    It is loaded again after `seconds`, or when one of the `tags` is invalidated; only where loading fails is it served for
    `stale_seconds` more, ten times as long unless given. What it returns is kept as JSON, by its annotated type, which has no
    secrets. It takes a connection of its own: do not wait for it within a unit of work.
    """
    stale = 10 * seconds if stale_seconds is None else stale_seconds

    def decorate(
        load: Callable[Concatenate[Database, P], Awaitable[T]],
    ) -> Callable[Concatenate[Database, P], Awaitable[T]]:
        kind: TypeAdapter[T] = TypeAdapter(get_type_hints(load)["return"])
        schema = to_json(kind.json_schema())
        if b'"writeOnly":true' in schema:
            raise TypeError(f"{load.__qualname__} returns secrets, which are not cached")

        @wraps(load)
        async def kept(database: Database, /, *args: P.args, **kwargs: P.kwargs) -> T:
            cache = service_of(database).resource(caching)
            given = [*args, *(each for item in sorted(kwargs.items()) for each in item)]
            # Another release may return something else.
            name = f"{load.__module__}.{load.__qualname__}", schema.decode()
            key = digest([*name, *partition(), *map(identified, given)])
            entry = Entry(
                cache.store.named(key), tags_in(cache, tags), seconds, stale, kind.validate_json
            )

            async def content() -> bytes:
                return kind.dump_json(await load(database, *args, **kwargs))

            return await cache.get(entry, content)

        return kept

    return decorate


def identified(argument: object) -> object:
    """An argument in a key: no other has the same. Of models and secrets, JSON does not show everything."""
    if isinstance(argument, tuple):
        return [identified(each) for each in cast("tuple[object, ...]", argument)]
    if not isinstance(argument, ARGUMENTS):
        raise TypeError(
            f"a cached function cannot be called with a {type(argument).__name__}: pass ids, numbers, texts,"
            " dates, or tuples of them"
        )
    return [type(argument).__qualname__, str(argument)]


def digest(parts: Sequence[object]) -> str:
    """A digest of these."""
    return hashlib.sha256(to_json(parts)).hexdigest()


def tags_in(cache: Cache, tags: Sequence[str]) -> Sequence[str]:
    """The keys of the tags of a result: those of the current customer, and those of all."""
    ours = partition()
    places = [ours, [EVERY]] if ours else [ours]
    return [cache.store.named("tag", *place, tag) for tag in tags for place in places]


def invalidate(session: AsyncSession, *tags: str) -> None:
    """Once the session is committed, have the results loaded anew that have one of these tags; those of all customers in a session of all."""
    cache = service_of(session).resource(caching)
    keys = [cache.store.named("tag", *partition(session), tag) for tag in tags]
    after_commit(session, lambda: cache.store.invalidate(keys), anyway=True)
