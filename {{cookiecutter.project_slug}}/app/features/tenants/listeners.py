"""Reactions of tenants to changes of accounts."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.tenancy.crossing import TenantsCrossed
from app.core.events import Listener
from app.features import audit
from app.features.tenants import service
from app.features.tenants.models import Tenant
from app.features.users.events import UserCreated, UserDeleted


async def make_own(session: AsyncSession, event: UserCreated) -> None:
    """Create the personal tenant of a new user."""
    own = Tenant(name="Personal", personal_user_id=event.user_id)
    await service.add(session, own, event.user_id)


async def leave_behind(session: AsyncSession, event: UserDeleted) -> None:
    """Leave no tenant without an owner."""
    await service.leave_behind(session, event.user_id)


async def note_crossing(session: AsyncSession, event: TenantsCrossed) -> None:
    """Record access across tenants in the audit log."""
    audit.record(session, "tenants.crossed", "tenant", None, after={"reason": event.reason})


listeners = (
    Listener(UserCreated, make_own),
    Listener(UserDeleted, leave_behind),
    Listener(TenantsCrossed, note_crossing),
)
