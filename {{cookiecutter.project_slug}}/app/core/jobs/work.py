"""What a job is given."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.service import Service
from app.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Work:
    """The session of one attempt: what is written in it is committed together with "done"."""

    session: AsyncSession
    service: Service
    attempt: int

    @property
    def settings(self) -> Settings:
        """The service's settings."""
        return self.service.settings
