"""Who gets a connection next."""

import asyncio
from contextlib import suppress

import pytest

from app.core.db.errors import DatabaseUnavailable
from app.core.db.slots import Slots


async def test_first_come_first_served() -> None:
    slots, served = Slots(2, 10.0), list[int]()

    async def use(number: int) -> None:
        async with slots:
            served.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*map(use, range(20)))

    assert served == [*range(20)]
    assert (slots.free, len(slots.waiting)) == (2, 0)


async def test_a_slot_that_was_handed_over_is_taken() -> None:
    slots = Slots(1, 10.0)
    await slots.enter()
    waits = asyncio.create_task(slots.enter())
    await asyncio.sleep(0)
    slots.release()
    late = asyncio.create_task(slots.enter())
    await asyncio.sleep(0)

    assert waits.done()
    assert not late.done()
    slots.release()
    await late


async def test_waiting_ends() -> None:
    slots = Slots(1, 0.01)
    async with slots:
        with pytest.raises(DatabaseUnavailable):
            await slots.enter()
        assert not slots.waiting

    assert slots.free == 1


async def test_who_leaves_while_waiting_keeps_no_slot() -> None:
    slots = Slots(1, 10.0)
    await slots.enter()
    leaves, stays = (asyncio.create_task(slots.enter()) for _ in range(2))
    await asyncio.sleep(0)
    leaves.cancel()
    slots.release()  # before the one that leaves has run
    with suppress(asyncio.CancelledError):
        await leaves

    await stays
    slots.release()
    assert (slots.free, len(slots.waiting)) == (1, 0)


async def test_who_leaves_at_the_moment_of_its_turn_hands_it_on() -> None:
    slots = Slots(1, 10.0)
    await slots.enter()
    leaves, stays = (asyncio.create_task(slots.enter()) for _ in range(2))
    await asyncio.sleep(0)
    slots.release()
    leaves.cancel()  # its turn has come, but it has not run
    with suppress(asyncio.CancelledError):
        await leaves

    await stays
    slots.release()
    assert (slots.free, len(slots.waiting)) == (1, 0)
