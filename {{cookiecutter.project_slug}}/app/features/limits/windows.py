"""Sliding windows: the requests of the current window, and those of the one before, which fade out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from app.features.limits.settings import Rate

SWEPT = 10_000
"""With how many windows those that are over are first searched for."""

Counter = tuple[str, Rate]
"""The key of a window, and its rate."""


@dataclass(slots=True)
class Window:
    """What was counted, and for how long."""

    elapsed: float
    """Seconds since the current window began."""
    current: float = 0
    previous: float = 0

    def used(self, rate: Rate) -> float:
        """How much of the quota is used."""
        return self.previous * (1 - self.elapsed / rate.seconds) + self.current

    def left(self, rate: Rate) -> int:
        """How much of the quota is left."""
        return max(0, int(rate.quota - self.used(rate)))

    def wait(self, rate: Rate, weight: int) -> float:
        """Seconds until there is room for so much."""
        room = rate.quota - weight
        if self.used(rate) <= room:
            return 0
        if self.current <= room:
            return rate.seconds * (1 - (room - self.current) / self.previous) - self.elapsed
        return rate.seconds * (2 - room / self.current) - self.elapsed


class Store(Protocol):
    """Where requests are counted."""

    async def hit(self, counters: Sequence[Counter], weight: int) -> tuple[bool, Sequence[Window]]:
        """Count in all of these windows, if there is room in each; returns whether, and the windows."""
        ...

    async def forget(self, keys: Sequence[str]) -> None:
        """Start again."""
        ...

    async def check(self) -> str | None:
        """`ok`, or what is wrong; nothing if nothing can be."""
        ...


@dataclass(slots=True)
class Started:
    """A window in memory."""

    start: float
    seconds: int
    current: float = 0
    previous: float = 0


class Memory:
    """Counts in this process."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.clock = clock
        self.windows: dict[str, Started] = {}
        self.most = SWEPT

    async def hit(self, counters: Sequence[Counter], weight: int) -> tuple[bool, Sequence[Window]]:
        """Count without waiting, so that nothing comes between."""
        now = self.clock()
        found = [self.rolled(key, rate, now) for key, rate in counters]
        seen = [Window(now - each.start, each.current, each.previous) for each in found]
        weights = [min(weight, rate.quota) for _, rate in counters]
        admitted = all(
            window.used(rate) + more <= rate.quota
            for window, (_, rate), more in zip(seen, counters, weights, strict=True)
        )
        if admitted:
            self.make_room(now)
            for (key, _), started, window, more in zip(counters, found, seen, weights, strict=True):
                started.current = window.current = started.current + more
                self.windows[key] = started
        return admitted, seen

    def rolled(self, key: str, rate: Rate, now: float) -> Started:
        """The window at this time; one that is new is kept once something is admitted."""
        found = self.windows.get(key) or Started(now, rate.seconds)
        passed = now - found.start
        if passed >= 2 * rate.seconds:
            found.start, found.current, found.previous = now, 0, 0
        elif passed >= rate.seconds:
            found.start += rate.seconds
            found.current, found.previous = 0, found.current
        return found

    def make_room(self, now: float) -> None:
        """Drop the windows that no longer count; not again before there are twice as many."""
        if len(self.windows) < self.most:
            return
        kept = {k: each for k, each in self.windows.items() if now - each.start < 2 * each.seconds}
        self.windows = kept
        self.most = max(SWEPT, 2 * len(kept))

    async def forget(self, keys: Sequence[str]) -> None:
        """Start again."""
        for key in keys:
            self.windows.pop(key, None)

    async def check(self) -> None:
        """There is nothing that could fail."""
