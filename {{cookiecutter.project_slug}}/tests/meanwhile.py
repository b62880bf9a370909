"""Concurrent actions while a request is in flight."""

import asyncio
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

import pytest
from httpx2 import Response

PATIENCE = 0.3  # seconds; an action that has to wait for the request may finish afterwards


def meanwhile(
    patch: pytest.MonkeyPatch,
    place: ModuleType,
    name: str,
    act: Callable[[], Awaitable[Response]],
) -> list["asyncio.Task[Response]"]:
    """Start `act` after this function's first call; the task is then in the list."""
    original, begun = getattr(place, name), list["asyncio.Task[Response]"]()

    async def first(*args: Any, **options: Any) -> Any:  # noqa: ANN401
        patch.setattr(place, name, original)
        found = await original(*args, **options)
        begun.append(asyncio.ensure_future(act()))
        await asyncio.wait(begun, timeout=PATIENCE)
        return found

    patch.setattr(place, name, first)
    return begun
