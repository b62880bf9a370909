"""The current actor, as recorded with jobs and in the audit log."""

from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from starlette.types import Scope

from app.core.carrying import Carrier


@dataclass(frozen=True, slots=True)
class Actor:
    """The user, the session, the address, and how the user was authenticated."""

    user_id: UUID | None = None
    session_id: UUID | None = None
    address: str | None = None
    via: str | None = None


ANONYMOUS = Actor()
actor: ContextVar[Actor] = ContextVar("actor", default=ANONYMOUS)
STORED = TypeAdapter(Actor)


def clipped(address: str | None) -> str | None:
    """At most 64 characters: a careless proxy forwards whatever a client claims."""
    return address[:64] if address else None


@lru_cache(maxsize=1024)
def unknown(address: str | None) -> Actor:
    """A caller of whom nothing but the address is known."""
    return Actor(address=address)


def begin(scope: Scope) -> Actor:
    """Only an address; authentication adds the rest."""
    client = scope.get("client")
    return unknown(clipped(client[0] if client else None))


def record(value: Actor) -> dict[str, Any]:
    """Its column in the job table."""
    return {"actor": None if value == ANONYMOUS else STORED.dump_python(value, mode="json")}


carrier = Carrier(
    variable=actor,
    begin=begin,
    resume=lambda run: ANONYMOUS if run.actor is None else STORED.validate_python(run.actor),
    record=record,
    describe=lambda value: {"user_id": str(value.user_id)} if value.user_id else {},
)
