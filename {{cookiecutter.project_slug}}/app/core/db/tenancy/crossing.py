"""The one exception: sessions that see every tenant, each recorded with its reason."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import ClassVar

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.session import Database, unit_of_work
from app.core.events import Event
from app.core.service import publish
from app.core.tenancy import AllTenants, within


class TenantsCrossed(Event):
    """A session was opened that sees every tenant."""

    name: ClassVar[str] = "tenants.crossed"

    reason: str


@asynccontextmanager
async def all_tenants(database: Database, *, reason: str) -> AsyncGenerator[AsyncSession]:
    """A separate session, in which nothing is filtered or stamped; committed at the end.

    New rows must name their tenant.
    """
    if not reason.strip():
        raise ValueError("say why every tenant is accessed")
    with within(AllTenants(reason)):
        async with unit_of_work(database) as session:
            await publish(session, TenantsCrossed(reason=reason))
            yield session
