"""The end of a process: it first says that it is not ready, and still serves; then it stops."""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from logging import getLogger
from types import FrameType
from typing import Any, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.settings import Settings

logger = getLogger(__name__)

DEPLOYED_SECONDS = 5.0
"""How long a deployed service drains unless DRAIN_SECONDS is set: load balancers learn of its end a moment later."""
Handler = Callable[[int, FrameType | None], Any]


class Draining:
    """Whether this process has been asked to stop."""

    def __init__(self) -> None:
        self.begun = False


def seconds_of(settings: Settings) -> float:
    """For how long requests are still accepted."""
    if settings.drain_seconds is None:
        return DEPLOYED_SECONDS if settings.deployed else 0.0
    return settings.drain_seconds


class Closing:
    """Has clients reconnect elsewhere after each response; in front of the application from the first signal on."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def last(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        await self.app(scope, receive, last if scope["type"] == "http" else send)


@contextmanager
def drained(draining: Draining, seconds: float, begin: Callable[[], None]) -> Generator[None]:
    """Delay the server's own handling of the first signal by so many seconds; a second one ends the process at once.

    Works with whatever server handles signals in Python, as uvicorn does.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    alone = multiprocessing.parent_process() is None
    kept = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    seen = set[int]()

    def start(number: int, frame: FrameType | None) -> None:
        begin()
        wait = seconds if number == signal.SIGTERM else 0.0  # Ctrl+C is for here and now
        if wait:
            logger.info("draining for %g seconds", wait)
        loop.call_later(wait, cast("Handler", kept[signal.Signals(number)]), number, frame)

    def handle(number: int, frame: FrameType | None) -> None:
        if seen & {number, signal.SIGTERM}:  # Ctrl+C also reaches the parent, which sends SIGTERM
            if (
                alone
            ):  # a worker may get the first one twice, from a supervisor too; its parent ends it
                os._exit(128 + number)
            return
        seen.add(number)
        if not draining.begun:
            draining.begun = True
            loop.call_soon_threadsafe(start, number, frame)

    ours = [each for each, handler in kept.items() if stops_a_server(handler)]
    for each in ours:
        signal.signal(each, handle)
    try:
        yield
    finally:
        for each in ours:
            signal.signal(each, kept[each])


def stops_a_server(handler: object) -> bool:
    """Whether it does so in order; Python's own handler would raise within any callback."""
    return callable(handler) and handler is not signal.default_int_handler
