"""Events: how features hear of each other without knowing each other."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class Event(BaseModel):
    """Something that has happened: a fact with a stable name, which can be written as JSON."""

    model_config = ConfigDict(frozen=True)

    name: ClassVar[str]
    """Such as `user.created`; never used for anything else."""
    version: ClassVar[int] = 1
    """Raised when fields change their meaning or go away."""


@dataclass(frozen=True, slots=True)
class Listener:
    """`handle` is called with the session and each event of this class or of one derived from it."""

    event: type[Event]
    handle: Callable[[Any, Any], Awaitable[None]]
    after_commit: bool = False
    """Called with the service instead, once the transaction is committed; a failure is only logged."""


class Listeners:
    """Those of one service."""

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self.listeners = tuple(listeners)
        self.found: dict[type[Event], tuple[Listener, ...]] = {}

    def of(self, event: Event) -> tuple[Listener, ...]:
        """Those that hear of this event, in the order of the features."""
        kind = type(event)
        if kind not in self.found:
            self.found[kind] = tuple(
                each for each in self.listeners if issubclass(kind, each.event)
            )
        return self.found[kind]
