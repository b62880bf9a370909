"""Everybody in the tests works for one tenant, as everybody does in a service without tenants."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.tenancy import within
from app.features.tenants.models import Membership, Tenant, TenantRole
from app.features.users.models import User

SHARED = "Shared"


async def share(session: AsyncSession, user: User) -> None:
    """Let `user` work for the tenant of all tests, as a plain member, unless another is named."""
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
