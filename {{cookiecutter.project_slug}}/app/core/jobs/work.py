"""What a job receives."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.service import Service
from app.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Work:
    """One attempt: what it writes in `session` is committed together with the state "done"."""

    session: AsyncSession
    service: Service
    attempt: int

    @property
    def settings(self) -> Settings:
        """The service's settings."""
        return self.service.settings
