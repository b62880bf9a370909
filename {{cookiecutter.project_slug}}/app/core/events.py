"""Features hear of each other's events without knowing each other."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

Handler = Callable[[AsyncSession, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Listener:
    """`handle` is called for each event of this type, in the transaction that it happens in."""

    event: type
    handle: Handler


_handlers: dict[type, list[Handler]] = {}


def install(listeners: Iterable[Listener]) -> None:
    """Let these listeners hear, and no others."""
    _handlers.clear()
    for listener in listeners:
        _handlers.setdefault(listener.event, []).append(listener.handle)


async def publish(session: AsyncSession, event: object) -> None:
    """Tell everyone who listens; a listener that fails undoes the whole transaction."""
    for handle in _handlers.get(type(event), []):
        await handle(session, event)
