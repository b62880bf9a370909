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


@pytest.mark.parametrize("its_turn_came_first", [False, True])
async def test_one_that_leaves_keeps_no_slot(*, its_turn_came_first: bool) -> None:
    slots = Slots(1, 10.0)
    await slots.enter()
    leaves, stays = (asyncio.create_task(slots.enter()) for _ in range(2))
    await asyncio.sleep(0)
    at_once = [leaves.cancel, slots.release]  # before the one that leaves has run
    for act in reversed(at_once) if its_turn_came_first else at_once:
        act()
    with suppress(asyncio.CancelledError):
        await leaves

    await stays
    slots.release()
    assert (slots.free, len(slots.waiting)) == (1, 0)
