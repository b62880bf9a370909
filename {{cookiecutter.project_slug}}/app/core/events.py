"""Events: how features react to each other without depending on each other."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class Event(BaseModel):
    """Something that has happened: a fact with a stable name, serializable as JSON."""

    model_config = ConfigDict(frozen=True)

    name: ClassVar[str]
    """Such as `user.created`; never reused for anything else."""
    version: ClassVar[int] = 1
    """Incremented when fields change their meaning or are removed."""


@dataclass(frozen=True, slots=True)
class Listener:
    """`handle` is called with the session and each event of this class or of a subclass."""

    event: type[Event]
    handle: Callable[[Any, Any], Awaitable[None]]
    after_commit: bool = False
    """Called with the service instead, once the work is committed and its connection is free; a failure is only
    logged."""


class Listeners:
    """The listeners of one service."""

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self.listeners = tuple(listeners)
        self.found: dict[type[Event], tuple[Listener, ...]] = {}

    def of(self, event: Event) -> tuple[Listener, ...]:
        """The listeners for this event, in the order of the features."""
        kind = type(event)
        if kind not in self.found:
            self.found[kind] = tuple(
                each for each in self.listeners if issubclass(kind, each.event)
            )
        return self.found[kind]
