"""Requests that deadlock, on any database."""

import asyncio

from app.core.db.errors import LostRace
from app.core.db.session import Database, unit_of_work
from app.features.users import repository
from app.features.users.roles import ADMIN, MEMBER


async def assert_one_is_told_to_try_again(database: Database) -> None:
    """Each holds the lock that the other needs next: one proceeds, the other learns why it failed."""
    both_began = asyncio.Barrier(2)

    async def lock(*names: str) -> None:
        async with unit_of_work(database) as session:
            await repository.role_for_update(session, names[0])
            await both_began.wait()
            await repository.role_for_update(session, names[1])

    ended = await asyncio.gather(lock(ADMIN, MEMBER), lock(MEMBER, ADMIN), return_exceptions=True)

    (lost,) = [each for each in ended if each is not None]
    assert isinstance(lost, LostRace), repr(lost)
    assert str(lost) == "A concurrent request changed the same data. Try again."
