"""Sliding windows: exact, fading, and forgotten."""

import asyncio
import os
from collections.abc import AsyncGenerator
from uuid import uuid4

import pytest
from hypothesis import given, strategies as st
from pydantic import ValidationError

from app.features.limits import windows
from app.features.limits.settings import LimitSettings, Rate, rates
from app.features.limits.shared import Shared, shared
from app.features.limits.tests.steps import Clock
from app.features.limits.windows import Memory, Window
from tests.databases import NO_FILE

MINUTE = Rate(50, 60)


async def test_of_a_thousand_at_once_exactly_as_many_pass_as_the_rate_says() -> None:
    memory = Memory()

    answers = await asyncio.gather(*(memory.hit([("a", MINUTE)], 1) for _ in range(1000)))

    assert sum(admitted for admitted, _ in answers) == 50


async def test_the_quota_does_not_return_at_once_when_a_window_ends() -> None:
    clock = Clock()
    memory = Memory(clock)
    passed: list[int] = []
    for now in (59, 61, 90, 120, 181, 400):
        clock.now = 1000.0 + now if passed else 1000.0
        answers = [await memory.hit([("a", MINUTE)], 1) for _ in range(60)]
        passed.append(sum(admitted for admitted, _ in answers))

    assert passed == [50, 0, 25, 25, 25, 50]


@given(
    quota=st.integers(1, 100),
    seconds=st.integers(1, 3600),
    steps=st.lists(st.tuples(st.floats(0, 4000), st.integers(1, 120)), min_size=1, max_size=20),
)
def test_what_was_refused_fits_after_the_time_that_is_told_and_not_before(
    quota: int, seconds: int, steps: list[tuple[float, int]]
) -> None:
    rate = Rate(quota, seconds)

    async def play() -> None:
        clock = Clock()
        memory = Memory(clock)
        for passed, weight in steps:
            clock.now += passed
            admitted, [window] = await memory.hit([("a", rate)], weight)
            assert window.used(rate) <= quota + 1e-6
            if not admitted:
                wait = window.wait(rate, min(weight, quota))
                clock.now += wait * 0.99 - 0.001
                assert wait < 0.01 or not (await memory.hit([("a", rate)], weight))[0]
                clock.now += wait * 0.01 + 0.002
                assert (await memory.hit([("a", rate)], weight))[0]

    asyncio.run(play())


async def test_it_counts_in_every_window_or_in_none() -> None:
    memory = Memory(Clock())
    both = [("user", Rate(10, 60)), ("team", Rate(3, 60))]
    results = [(await memory.hit(both, 1))[0] for _ in range(5)]
    _, [user] = await memory.hit([("user", Rate(10, 60))], 1)

    assert results == [True, True, True, False, False]
    assert user.current == 4


async def test_what_weighs_more_than_the_quota_takes_all_of_it() -> None:
    memory = Memory(Clock())

    assert (await memory.hit([("a", Rate(3, 60))], 5))[0]
    assert not (await memory.hit([("a", Rate(3, 60))], 1))[0]


async def test_windows_that_are_over_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "SWEPT", 100)
    clock = Clock()
    memory = Memory(clock)
    for number in range(1000):
        clock.now += 2
        await memory.hit([(f"address {number}", Rate(5, 60))], 1)

    assert len(memory.windows) <= 200


async def test_what_is_forgotten_starts_again() -> None:
    memory = Memory(Clock())
    one = [("a", Rate(1, 60))]
    await memory.hit(one, 1)
    await memory.forget(["a", "never counted"])

    assert (await memory.hit(one, 1))[0]
    assert await memory.check() is None


@pytest.fixture
async def stores() -> AsyncGenerator[list[Shared]]:
    """As of two processes."""
    url = os.environ.get("TEST_REDIS_URL") or pytest.skip("TEST_REDIS_URL names no Redis")
    async with shared(url, closed=True) as first, shared(url, closed=True) as second:
        yield [first, second]


async def test_processes_that_share_a_redis_admit_exactly_as_many(stores: list[Shared]) -> None:
    counters = [(f"tests:{uuid4()}", MINUTE), (f"tests:{uuid4()}", Rate(500, 3600))]
    asked = [each.hit(counters, 1) for each in stores for _ in range(500)]

    answers = await asyncio.gather(*asked)
    _, [last, other] = await stores[0].hit(counters, 1)

    assert sum(admitted for admitted, _ in answers) == 50
    assert (last.current, other.current) == (50, 50)
    await stores[1].forget([key for key, _ in counters])
    assert (await stores[0].hit(counters, 5))[1][0].current == 5
    await stores[0].forget([key for key, _ in counters])


async def test_windows_slide_in_redis_too_and_end_with_it(stores: list[Shared]) -> None:
    key = f"tests:{uuid4()}"
    rate = Rate(10, 1)
    first = [(await stores[0].hit([(key, rate)], 1))[0] for _ in range(12)]
    _, [full] = await stores[0].hit([(key, rate)], 1)
    await asyncio.sleep(full.wait(rate, 5) + 0.05)
    half = [(await stores[1].hit([(key, rate)], 1))[0] for _ in range(12)]
    left: int = await stores[0].client.ttl(key)

    assert first == [True] * 10 + [False] * 2
    assert 5 <= sum(half) <= 7
    assert 0 < left <= 2


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("off", ()),
        ("5/m", (Rate(5, 60),)),
        ("5/m, 10/15m,30/d", (Rate(5, 60), Rate(10, 900), Rate(30, 86400))),
        (" 7/30s ", (Rate(7, 30),)),
    ],
)
def test_rates_are_read_as_they_are_written(text: str, found: tuple[Rate, ...]) -> None:
    settings = LimitSettings(**NO_FILE, login_address=text)  # pyright: ignore[reportArgumentType], as a variable is

    assert settings.login_address == found == rates(text)


@pytest.mark.parametrize("text", ["", "5", "0/m", "5/w", "5/0m", "-1/m", "5/m;6/h", "5.5/m"])
def test_other_texts_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValidationError, match=r"write 100/m, 30/15m or 500/h, or off"):
        LimitSettings(**NO_FILE, address=text)  # pyright: ignore[reportArgumentType], likewise


def test_requests_have_one_rate() -> None:
    with pytest.raises(ValidationError, match="at most 1 item"):
        LimitSettings(**NO_FILE, user="5/m, 10/h")  # pyright: ignore[reportArgumentType], likewise


def test_a_window_without_a_past_is_used_by_its_present() -> None:
    assert Window(30.0, 7).used(MINUTE) == 7
    assert Window(30.0, 7).wait(MINUTE, 1) == 0


async def test_what_is_refused_takes_no_memory() -> None:
    memory = Memory(Clock())
    place = ("place", Rate(1, 60))
    for number in range(100):
        await memory.hit([place, (f"account {number}", Rate(30, 86400))], 1)

    assert set(memory.windows) == {"place", "account 0"}


async def test_a_redis_that_refuses_the_login_prevents_the_start() -> None:
    url = os.environ.get("TEST_REDIS_URL") or pytest.skip("TEST_REDIS_URL names no Redis")
    wrong = url.replace("://", "://stranger:hunter2@")
    with pytest.raises(
        RuntimeError, match=r"REDIS_URL: .*correct the user or the password"
    ) as told:
        async with shared(wrong, closed=False):
            pytest.fail("it started")

    assert "hunter2" not in str(told.value)


async def test_what_is_forgotten_while_redis_is_away_is_forgotten_at_once() -> None:
    async with shared("redis://127.0.0.1:1/0", closed=False) as store:
        one = [("a", Rate(1, 60))]
        first = (await store.hit(one, 1))[0]
        await store.forget(["a"])
        again = (await store.hit(one, 1))[0]

    assert (first, again) == (True, True)


@pytest.mark.slow
async def test_a_burst_is_no_outage(stores: list[Shared]) -> None:
    key = f"tests:{uuid4()}"
    answers = await asyncio.gather(*(stores[0].hit([(key, MINUTE)], 1) for _ in range(6000)))
    await stores[0].forget([key])

    assert sum(admitted for admitted, _ in answers) == 50
    assert stores[0].away_until == 0
