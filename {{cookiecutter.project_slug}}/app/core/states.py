"""State machines: a table of the transitions that rows of one kind can make, which is all that changes their state."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import Conflict, Failure
from app.core.events import Event
from app.core.service import publish

State = TypeVar("State", bound=StrEnum)


class WrongState(Conflict):
    """The resource is in a state that does not allow this transition."""

    def __init__(self, action: str, state: str) -> None:
        super().__init__(f"Cannot {action}: the state is {state}.", state=state)


@dataclass(frozen=True, slots=True)
class Transition(Generic[State]):
    """What an action does to the state of a row."""

    sources: tuple[State, ...]
    """The states in which the action is possible."""
    target: State
    guard: Callable[[Any], None] | None = None
    """Raises a failure if this row, in one of those states, cannot make the transition."""

    def applies(self, row: Any) -> bool:  # noqa: ANN401, of any model with a state
        """Whether this row can make it."""
        with suppress(Failure):
            if self.guard and row.state in self.sources:
                self.guard(row)
            return row.state in self.sources
        return False


class Machine(Generic[State]):
    """The transitions of rows with a column `state`, by action."""

    def __init__(
        self,
        initial: State,
        transitions: Mapping[str, Transition[State]],
        event: Callable[[Any, State], Event] | None = None,
    ) -> None:
        self.initial = initial
        self.transitions = transitions
        self.event = event
        """Makes the event of a transition, from the row in its new state, and the state before."""
        reached = {initial, *(each.target for each in transitions.values())}
        if unreached := set(type(initial)) - reached:
            raise ValueError(f"no transition leads to {', '.join(sorted(unreached))}")

    def possible(self, row: Any) -> list[str]:  # noqa: ANN401, of any model with a state
        """The actions that are possible at the moment."""
        return [name for name, each in self.transitions.items() if each.applies(row)]

    async def apply(self, session: AsyncSession, action: str, row: Any) -> State:  # noqa: ANN401, of any model with a state
        """Make the transition of a locked row, and publish its event; returns the state before."""
        transition, before = self.transitions[action], type(self.initial)(row.state)
        if before not in transition.sources:
            raise WrongState(action, before)
        if transition.guard:
            transition.guard(row)
        row.state = transition.target
        await session.flush()
        if self.event:
            await publish(session, self.event(row, before))
        return before
