"""Users in tests share one tenant, so that tests mean the same with and without tenants."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.tenancy import within
from app.features.tenants.models import Membership, Tenant, TenantRole
from app.features.users.models import User

SHARED = "Shared"


async def share(session: AsyncSession, user: User) -> None:
    """Make `user` a plain member of the tenant shared by all tests, or of another one."""
    own = await session.scalar(select(Tenant).where(Tenant.personal_user_id == user.id))
    assert own
    own.personal_user_id = None
    own.name = f"{user.email}'s"
    tenant = await session.scalar(select(Tenant).where(Tenant.name == SHARED))
    if tenant is None:
        tenant = Tenant(name=SHARED)
        session.add(tenant)
        await session.flush()
    with within(tenant.id):
        membership = Membership(user_id=user.id, role=TenantRole.MEMBER)
        membership.created_at = own.created_at.replace(year=2000)
        session.add(membership)
    await session.flush()
