"""Time limits that share a timer."""

import asyncio
from functools import partial

from app.core.deadline import TimeLimit


async def test_each_is_stopped_when_its_time_is_over() -> None:
    limit, stopped = TimeLimit(0.05), list[str]()
    stops = [partial(stopped.append, name) for name in ("first", "ended", "second")]
    first, ended, second = map(limit.start, stops)
    assert first <= ended <= second
    limit.end(stops[1])
    await asyncio.sleep(0.2)

    assert stopped == ["first", "second"]
    assert asyncio.get_running_loop().time() > second
    assert not limit.running
    assert limit.timer is None


async def test_what_has_ended_is_not_stopped() -> None:
    limit, stopped = TimeLimit(0.01), list[str]()

    def stop() -> None:
        stopped.append("stopped")

    limit.start(stop)
    limit.end(stop)
    limit.end(stop)
    await asyncio.sleep(0.05)
    assert not stopped

    limit.start(stop)  # the timer of the first is over
    await asyncio.sleep(0.05)
    assert stopped == ["stopped"]


def test_another_event_loop_starts_with_none() -> None:
    limit, stopped = TimeLimit(0.01), list[str]()

    async def leave_it() -> None:
        limit.start(lambda: stopped.append("of the loop that ended"))

    async def wait() -> None:
        limit.start(lambda: stopped.append("of the loop that runs"))
        await asyncio.sleep(0.05)

    asyncio.run(leave_it())
    asyncio.run(wait())

    assert stopped == ["of the loop that runs"]
