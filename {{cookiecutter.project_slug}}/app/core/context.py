"""Who acts, for whatever is written down about it."""

from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

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
