"""What a job receives."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.session import reading
from app.core.service import Service
from app.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Work:
    """One attempt: what it writes in `session` is committed together with the state "done".

    A job that calls another service reads with `reading`, calls, and only then uses `session`, so that it holds no
    connection while it waits. An attempt that lost its lease meanwhile writes nothing.
    """

    session: AsyncSession
    service: Service
    attempt: int
    id: UUID
    """The same for each attempt, such as for the header `Idempotency-Key`."""

    @property
    def settings(self) -> Settings:
        """The service's settings."""
        return self.service.settings

    def reading(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A session of its own, to read what the job needs before it waits for something else."""
        return reading(self.service.database)
