"""How commands of features access the service."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from typer import Context

from app.core.service import Service

T = TypeVar("T")


def run(context: Context, act: Callable[[Service], Awaitable[T]]) -> T:
    """Open the service by what `app` passes in the context, run `act`, and close the service."""

    async def opened() -> T:
        async with context.obj() as service:
            return await act(service)

    return asyncio.run(opened())
