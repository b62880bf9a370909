"""When the current request or job is stopped, so that what it waits for can give up before."""

import asyncio
from collections.abc import Callable
from contextvars import Context, ContextVar

from app.core.carrying import Carrier

deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
"""By the clock of the event loop; none for what may take any time."""

# Not among those of all requests and log lines: it is set where the limit is.
carrier = Carrier(variable=deadline, resume=lambda run: None)


class TimeLimit:
    """How many seconds each of many may take, with one timer for all: a timer for each is a part of the cost of a small request."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.running: dict[Callable[[], object], float] = {}
        """What stops each, and when; the earliest first."""
        self.loop: asyncio.AbstractEventLoop | None = None
        self.timer: asyncio.TimerHandle | None = None
        """For one that was the earliest; it may have ended since."""

    def start(self, stop: Callable[[], object]) -> float:
        """Call `stop` unless it has ended before; returns when, by the clock of the event loop."""
        loop = asyncio.get_running_loop()
        if self.loop is not loop:  # the first, or after the end of another
            self.loop, self.timer, self.running = loop, None, {}
        until = self.running[stop] = loop.time() + self.seconds
        if self.timer is None:
            self.wait(loop, until)
        return until

    def end(self, stop: Callable[[], object]) -> None:
        """It has ended, and is not to be stopped."""
        self.running.pop(stop, None)

    def check(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stop what takes too long, and wait for the next."""
        self.timer = None
        while self.running:
            stop, until = next(iter(self.running.items()))
            if until > loop.time():
                self.wait(loop, until)
                return
            del self.running[stop]
            stop()

    def wait(self, loop: asyncio.AbstractEventLoop, until: float) -> None:
        """Check then, in no request's context: the timer outlives the one that starts it."""
        self.timer = loop.call_at(until, self.check, loop, context=Context())
