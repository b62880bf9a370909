"""What is kept, for whom, how long, and what happens when it cannot be."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import make_url

from app.core.errors import NotFound
from app.features.cache import store as module
from app.features.cache.memory import Memory
from app.features.cache.service import Cache, Entry, check
from app.features.cache.store import Kept, kept_here, kept_in_redis
from tests.outages import Relay, eventually


@dataclass
class Source:
    """Counts how often it is read, and can be slow, or fail."""

    text: str = "first"
    reads: int = 0
    error: Exception | None = None
    flow: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self) -> bytes:
        """What it says when it is asked, after a while."""
        self.reads += 1
        text = self.text
        await self.flow.wait()
        if self.error:
            raise self.error
        return text.encode()


@pytest.fixture
def source() -> Source:
    """A fast one."""
    found = Source()
    found.flow.set()
    return found


@pytest.fixture
def redis() -> str:
    """The URL of a real one."""
    return os.environ.get("TEST_REDIS_URL") or pytest.skip("TEST_REDIS_URL names no Redis")


@pytest.fixture(params=["here", "redis"])
async def caches(request: pytest.FixtureRequest) -> AsyncGenerator[list[Cache]]:
    """Of two processes, if it is kept in Redis."""
    prefix = f"tests:{uuid4()}"
    async with AsyncExitStack() as stack:
        if request.param == "here":
            cache = Cache(await stack.enter_async_context(kept_here(100, prefix)))
            yield [cache, cache]
        else:
            url: str = request.getfixturevalue("redis")
            both = [await stack.enter_async_context(kept_in_redis(url, prefix)) for _ in range(2)]
            yield [*map(Cache, both)]


def entry(cache: Cache, seconds: float = 60, stale: float = 600) -> Entry[bytes]:
    """The same in each process."""
    return Entry(cache.store.named("a"), [cache.store.named("tag")], seconds, stale, bytes)


async def begun(cache: Cache, source: Source) -> asyncio.Task[bytes]:
    """A request that waits for the source."""
    source.flow.clear()
    task = asyncio.create_task(cache.get(entry(cache), source.read))

    async def is_read() -> bool:
        return source.reads == 1

    await eventually(is_read)
    return task


async def invalidated(cache: Cache) -> None:
    """As by a change that was committed."""
    await cache.store.invalidate([cache.store.named("tag")])


async def test_of_200_at_once_one_loads(caches: list[Cache], source: Source) -> None:
    source.flow.clear()
    asking = [
        asyncio.create_task(each.get(entry(each), source.read))
        for each in caches
        for _ in range(100)
    ]
    await asyncio.sleep(0.2)
    source.flow.set()

    assert {*await asyncio.gather(*asking)} == {b"first"}
    assert source.reads == 1


async def test_it_is_loaded_again_when_its_time_is_over(
    caches: list[Cache], source: Source
) -> None:
    for _ in range(3):
        await caches[0].get(entry(caches[0], 0.2), source.read)
    assert source.reads == 1

    await asyncio.sleep(0.25)
    await caches[1].get(entry(caches[1], 0.2), source.read)

    assert source.reads == 2


async def test_what_one_invalidates_all_load_again(caches: list[Cache], source: Source) -> None:
    await caches[0].get(entry(caches[0]), source.read)
    source.text = "second"
    await invalidated(caches[1])

    answers = [await each.get(entry(each), source.read) for each in caches]

    assert answers == [b"second", b"second"]
    assert source.reads == 2


async def test_what_was_read_before_a_change_is_not_kept_after_it(
    caches: list[Cache], source: Source
) -> None:
    old = await begun(caches[0], source)
    source.text = "second"
    await invalidated(caches[1])
    source.flow.set()

    assert await old == b"first"
    assert await caches[0].get(entry(caches[0]), source.read) == b"second"


async def test_a_stale_result_is_better_than_none(caches: list[Cache], source: Source) -> None:
    soon = entry(caches[0], 0.05)
    await caches[0].get(soon, source.read)
    await asyncio.sleep(0.1)
    source.error = OSError("away")

    assert await caches[0].get(soon, source.read) == b"first"
    await invalidated(caches[0])
    with pytest.raises(OSError, match="away"):
        await caches[0].get(soon, source.read)


async def test_a_refusal_is_an_answer(caches: list[Cache], source: Source) -> None:
    soon = entry(caches[0], 0.05)
    await caches[0].get(soon, source.read)
    await asyncio.sleep(0.1)
    source.error = NotFound("It is gone.")

    with pytest.raises(NotFound):
        await caches[0].get(soon, source.read)


async def test_a_failure_is_not_kept(caches: list[Cache], source: Source) -> None:
    source.error = OSError("away")
    with pytest.raises(OSError, match="away"):
        await caches[0].get(entry(caches[0]), source.read)
    source.error = None

    assert await caches[1].get(entry(caches[1]), source.read) == b"first"


async def test_one_who_leaves_takes_nothing_from_the_others(
    caches: list[Cache], source: Source
) -> None:
    first = await begun(caches[0], source)
    second = asyncio.create_task(caches[0].get(entry(caches[0]), source.read))
    first.cancel()
    source.flow.set()

    assert await second == b"first"
    assert source.reads == 1
    assert first.cancelled() or await asyncio.wait([first])


async def test_what_another_wrote_there_is_loaded_again(
    redis: str, source: Source, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    pickle = f"cos\nmkdir\n(S'{made}'\ntR.".encode()  # makes it when it is read
    async with kept_in_redis(redis, f"tests:{uuid4()}") as store:
        assert not isinstance(store.backend, Memory)
        cache = Cache(store)
        for rubbish in (
            b"",
            b"7",
            b"\n",
            b"[]\n",
            b'[["a"],"x"]\n',
            b"\xff\n\xff",
            b"null\n",
            pickle,
        ):
            await store.backend.set_raw(entry(cache).key, rubbish)
            assert await cache.get(entry(cache), source.read) == b"first", rubbish
            assert await cache.get(entry(cache), source.read) == b"first", rubbish

    assert source.reads == 8
    assert not made.exists()


async def test_a_process_keeps_as_much_as_it_may() -> None:
    async with kept_here(0, "tests") as none, kept_here(6, "tests") as few:
        for store, expected in ((none, 0), (few, 6)):
            for number in range(20):
                found = await store.find(f"{number}", ["tag"])
                assert found.tags is not None
                await store.keep(f"{number}", Kept(found.tags, 0, b"x"), 60)
            assert isinstance(store.backend, Memory)
            assert len(store.backend.entries) == expected


@pytest.fixture
async def relayed(redis: str, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[tuple[Relay, str]]:
    """This Redis behind a relay, and a service that does not wait long for it."""
    monkeypatch.setattr(module, "SECONDS", 0.1)
    monkeypatch.setattr(module, "PAUSE", 0.2)
    parts = make_url(redis)
    relay = Relay(lambda: asyncio.open_connection(parts.host, parts.port or 6379))
    async with relay.listening(parts) as url:
        yield relay, url.render_as_string(hide_password=False)


async def test_without_redis_it_is_loaded_each_time_and_changes_are_not_lost(
    relayed: tuple[Relay, str], redis: str, source: Source
) -> None:
    relay, url = relayed
    prefix = f"tests:{uuid4()}"
    async with kept_in_redis(url, prefix) as behind, kept_in_redis(redis, prefix) as beside:
        far, near = Cache(behind), Cache(beside)
        await far.get(entry(far), source.read)
        relay.stop()
        answers = [await far.get(entry(far), source.read) for _ in range(3)]
        state = await check(far)
        source.text = "second"
        await invalidated(far)
        unaware = await near.get(entry(near), source.read)
        relay.go_on()
        await asyncio.sleep(0.25)
        known = await far.get(entry(far), source.read)

        assert answers == [b"first"] * 3
        assert state
        assert state.startswith("degraded")
        assert (unaware, known) == (b"first", b"second")
        assert await near.get(entry(near), source.read) == b"second"
        assert await check(far) == "ok"
        assert source.reads == 5


async def test_a_redis_that_goes_away_while_one_loads_harms_nothing(
    relayed: tuple[Relay, str], source: Source
) -> None:
    relay, url = relayed
    async with kept_in_redis(url, f"tests:{uuid4()}") as store:
        cache = Cache(store)
        asking = await begun(cache, source)
        relay.stop()
        source.flow.set()

        assert await asking == b"first"
        relay.go_on()


async def test_it_starts_without_redis(source: Source) -> None:
    async with kept_in_redis("redis://127.0.0.1:1/0", "tests") as store:
        cache = Cache(store)
        assert await cache.get(entry(cache), source.read) == b"first"
        await invalidated(cache)
        assert (await check(cache) or "").startswith("degraded")


async def test_who_asks_after_a_change_does_not_wait_for_what_was_read_before(
    caches: list[Cache], source: Source
) -> None:
    old = await begun(caches[0], source)
    source.text = "second"
    await invalidated(caches[0])
    new = asyncio.create_task(caches[0].get(entry(caches[0]), source.read))
    await asyncio.sleep(0.1)
    source.flow.set()

    assert await asyncio.gather(old, new) == [b"first", b"second"]


async def test_a_failure_is_one_also_if_redis_fails_meanwhile(
    relayed: tuple[Relay, str], source: Source
) -> None:
    relay, url = relayed
    source.error = NotFound("It is gone.")
    async with kept_in_redis(url, f"tests:{uuid4()}") as store:
        cache = Cache(store)
        asking = await begun(cache, source)
        relay.stop()
        source.flow.set()

        with pytest.raises(NotFound):
            await asking
        relay.go_on()


async def test_a_process_that_uses_no_results_invalidates_them_once_redis_is_back(
    relayed: tuple[Relay, str], redis: str, source: Source
) -> None:
    relay, url = relayed
    prefix = f"tests:{uuid4()}"
    async with kept_in_redis(url, prefix) as behind, kept_in_redis(redis, prefix) as beside:
        near = Cache(beside)
        await near.get(entry(near), source.read)
        relay.stop()
        source.text = "second"
        await invalidated(Cache(behind))
        relay.go_on()

        async def is_new() -> bool:
            return await near.get(entry(near), source.read) == b"second"

        await eventually(is_new)
        assert not behind.owed


async def test_what_another_wrote_as_a_tag_fails_no_request(redis: str, source: Source) -> None:
    async with kept_in_redis(redis, f"tests:{uuid4()}") as store:
        assert not isinstance(store.backend, Memory)
        cache = Cache(store)
        for rubbish in (b"7", b"bytes:\xff", b"bytes:", b"str:a"):
            await store.backend.set_raw(entry(cache).tags[0], rubbish)
            assert await cache.get(entry(cache), source.read) == b"first", rubbish
