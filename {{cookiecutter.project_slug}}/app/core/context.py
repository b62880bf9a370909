"""Who acts, and for which request, for whatever is written down about it."""

from collections.abc import MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from asgi_correlation_id import correlation_id
from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever stands behind the work at hand."""

    user_id: UUID | None = None
    session_id: UUID | None = None
    address: str | None = None


def clipped(address: str | None) -> str | None:
    """At most 64 characters: a careless proxy passes on whatever a client claims."""
    return address[:64] if address else None


NOBODY = Actor()
actor: ContextVar[Actor] = ContextVar("actor", default=NOBODY)
ACTOR = TypeAdapter(Actor)
"""How an actor is written down for later."""


def add_to_log(
    logger: object, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Tie a line to its request."""
    if (request := correlation_id.get()) is not None:
        event["correlation_id"] = request
    return event
