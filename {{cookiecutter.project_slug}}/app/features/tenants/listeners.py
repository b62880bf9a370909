"""What happens to tenants when something happens to accounts."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.tenancy.crossing import TenantsCrossed
from app.core.events import Listener
from app.features.audit.service import record
from app.features.tenants import service
from app.features.tenants.models import Tenant
from app.features.users.events import UserCreated, UserDeleted


async def make_own(session: AsyncSession, event: UserCreated) -> None:
    """Everybody has a tenant of their own from the first moment."""
    own = Tenant(name="Personal", personal_user_id=event.user_id)
    await service.add(session, own, event.user_id)


async def leave_behind(session: AsyncSession, event: UserDeleted) -> None:
    """No tenant is left without an owner."""
    await service.leave_behind(session, event.user_id)


async def note_crossing(session: AsyncSession, event: TenantsCrossed) -> None:
    """Whoever looks at every tenant at once is on record."""
    record(session, "tenants.crossed", "tenant", None, after={"reason": event.reason})


listeners = (
    Listener(UserCreated, make_own),
    Listener(UserDeleted, leave_behind),
    Listener(TenantsCrossed, note_crossing),
)
