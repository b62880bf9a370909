"""Whether what a request reads may be a little old, as replicas have it."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol, TypeVarTuple

from sqlalchemy import CursorResult, Engine, Row, Select, event
from sqlalchemy.ext.asyncio import AsyncSession

Ts = TypeVarTuple("Ts")

READS = ("SELECT", "SET", "SHOW", "SAVEPOINT", "RELEASE", "ROLLBACK")
"""How statements begin that change nothing; what is not among them counts as a write."""


@dataclass(slots=True)
class Freshness:
    """What is known of a request."""

    only_reads: bool
    recent: bool = False
    """Whether its client has just written something."""
    wrote: bool = False

    @property
    def may_lag(self) -> bool:
        """Whether a replica may answer: not before a change, and not after one."""
        return self.only_reads and not (self.recent or self.wrote)


class Followers(Protocol):
    """Databases that may lag behind the primary, as in `app/core/db/replicas.py`."""

    def carry(self, service: object) -> None:
        """Have their sessions refer to their service."""
        ...

    def state(self) -> str:
        """For the readiness check."""
        ...

    def databases(self) -> Mapping[str, Any]:
        """The `Database` of each, by name."""
        ...

    async def rows(self, statement: Select[*Ts], values: Mapping[str, Any]) -> Sequence[Row[*Ts]]:
        """The answer to a statement that was built once."""
        ...

    def reading(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A session for reads only."""
        ...


freshness: ContextVar[Freshness | None] = ContextVar("freshness", default=None)
"""Set for requests if there are replicas. Whatever is no request, such as a job, reads the primary."""


def only_reads() -> None:
    """Replicas may answer this request, whatever its method."""
    if found := freshness.get():
        found.only_reads = True


def wrote() -> None:
    """The client of this request reads the primary from here on, for some seconds."""
    if found := freshness.get():
        found.wrote = True


def only_primary() -> None:
    """From here on in this task, whatever is read is up to date."""
    freshness.set(None)


def note_writes(engine: Engine) -> None:
    """Note which requests write on this engine."""
    event.listen(engine, "after_execute", note)


def note(
    connection: object,
    statement: object,
    many: object,
    parameters: object,
    options: object,
    result: CursorResult[tuple[object, ...]],
) -> None:
    """Whatever becomes of the transaction: at worst, a client reads the primary without need."""
    found = freshness.get()
    if found and not (found.wrote or result.context.statement.lstrip().upper().startswith(READS)):
        found.wrote = True
