"""Who uses a connection next: first come, first served.

The pool itself is not fair: under load some wait a second while others overtake them.
"""

import asyncio
from collections import deque
from functools import partial

from app.core.db.errors import DatabaseUnavailable
from app.core.deadline import TimeLimit


class Slots:
    """Admits as many at once as there are connections; the others wait in order, for at most so many seconds."""

    def __init__(self, number: int, seconds: float) -> None:
        self.free = number
        self.limit = TimeLimit(seconds)
        self.waiting = deque[asyncio.Future[None]]()
        """Those that wait, the longest first."""

    async def enter(self) -> None:
        """Take a slot, which must be released; raises `DatabaseUnavailable` if none becomes free in time."""
        if self.free:
            self.free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        give_up = partial(self.give_up, turn)
        self.limit.start(give_up)
        try:
            await turn
        except BaseException:
            if turn in self.waiting:
                self.waiting.remove(turn)
            elif turn.done() and not turn.cancelled() and not turn.exception():
                self.release()  # it was handed over at the same moment
            raise
        finally:
            self.limit.end(give_up)

    def give_up(self, turn: asyncio.Future[None]) -> None:
        """Have it wait no longer."""
        if not turn.done():
            self.waiting.remove(turn)
            turn.set_exception(DatabaseUnavailable())

    def release(self) -> None:
        """Hand the slot over to the one that has waited longest."""
        while self.waiting:
            turn = self.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.free += 1

    async def __aenter__(self) -> None:
        await self.enter()

    async def __aexit__(self, *error: object) -> None:
        self.release()
