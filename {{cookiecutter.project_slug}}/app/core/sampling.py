"""Example rows for development: a seed determines them, and only those that are missing are added."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import Base
from app.core.db.deletion import WITH_DELETED

BATCH = 1000
FIRST, INTERVAL = datetime(2025, 1, 1, tzinfo=UTC), timedelta(seconds=30)

Row = dict[str, Any]
# The values of the row with this number, beside id and times.
Values = Callable[[int, Random], Row]


@dataclass(kw_only=True)
class Sampling:
    """The rows to add in the current transaction, and how many there were in earlier ones.

    Rows are numbered from 0, and refer only to rows whose number is not higher: more rows later change none.
    """

    seed: int
    numbers: range = range(0)
    scope: Callable[[], AbstractContextManager[None]] = nullcontext
    """In which to act from the next transaction on, such as for a customer; a feature may set it."""
    added: Counter[str] = field(default_factory=Counter[str])
    """How many rows of each table."""
    present: Counter[str] = field(default_factory=Counter[str])

    def at(self, number: int) -> datetime:
        """When a row was created."""
        return FIRST + INTERVAL * number

    def id(self, model: type[Base], number: int) -> UUID:
        """The id of a row."""
        return uuid5(NAMESPACE_OID, f"{self.seed}/{model.__tablename__}/{number}")

    def random(self, model: type[Base], number: int) -> Random:
        """What chooses the values of a row."""
        return Random(f"{self.seed}/{model.__tablename__}/{number}")  # noqa: S311, no secrets

    async def add(
        self,
        session: AsyncSession,
        model: type[Base],
        values: Values,
        numbers: Iterable[int] | None = None,
    ) -> Sequence[int]:
        """Insert the rows with these numbers that are not in the table yet; returns their numbers."""
        ids = {self.id(model, n): n for n in (self.numbers if numbers is None else numbers)}
        found = select(model.id).where(model.id.in_(ids))
        present = set(await session.scalars(found, execution_options=WITH_DELETED))
        missing = {row_id: n for row_id, n in ids.items() if row_id not in present}
        rows = [
            {"id": row_id, "created_at": self.at(n), "updated_at": self.at(n)}
            | values(n, self.random(model, n))
            for row_id, n in missing.items()
        ]
        if rows:
            await session.execute(insert(model), rows)
        self.added[model.__tablename__] += len(rows)
        self.present[model.__tablename__] += len(present)
        return [*missing.values()]
