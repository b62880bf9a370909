"""How commands of features reach the service."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from typer import Context

from app.core.service import Service

T = TypeVar("T")
Opening = Callable[[], AbstractAsyncContextManager[Service]]
"""What the command `app` gives to its parts, as the `obj` of their context."""


def run(context: Context, act: Callable[[Service], Awaitable[T]]) -> T:
    """Open the service, have `act` do its work, and close the service."""

    async def opened() -> T:
        async with context.obj() as service:
            return await act(service)

    return asyncio.run(opened())
