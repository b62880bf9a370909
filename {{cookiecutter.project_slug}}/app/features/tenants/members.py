"""Rules about who works for a tenant.

Whoever locks several things locks the tenant first, then accounts: one may be about to be deleted.
"""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.pagination import Found
from app.features.audit.service import record
from app.features.tenants import repository
from app.features.tenants.authentication import Member
from app.features.tenants.failures import LastOwner, MemberNotFound, OwnersOnly, PersonalTenant
from app.features.tenants.models import Membership, Tenant, TenantRole
from app.features.tenants.permissions import TenantPermission
from app.features.tenants.schemas import MemberQuery
from app.features.tenants.service import at_work
from app.features.users.repository import lock as lock_user


async def page(session: AsyncSession, tenant_id: UUID, query: MemberQuery) -> Found[Membership]:
    """One page of members."""
    return await repository.members(session, tenant_id, query)


async def get(session: AsyncSession, tenant_id: UUID, user_id: UUID) -> Membership:
    """One member."""
    membership = await repository.membership(session, tenant_id, user_id)
    if membership is None:
        raise MemberNotFound
    return membership


async def change_role(
    session: AsyncSession, caller: Member, user_id: UUID, role: TenantRole
) -> None:
    """Make somebody something else."""
    tenant, caller = await at_work(session, caller, TenantPermission.WRITE)
    await lock_user(session, user_id)
    membership = await get(session, tenant.id, user_id)
    await assign(session, caller, tenant, membership, role)


async def assign(
    session: AsyncSession, caller: Member, tenant: Tenant, membership: Membership, role: str
) -> None:
    """A role for a member, by somebody who may."""
    demand_rank(caller, membership.role, role)
    if role == TenantRole.OWNER and membership.role != role and tenant.personal_user_id:
        raise PersonalTenant
    if membership.role == TenantRole.OWNER and role != TenantRole.OWNER:
        await demand_another_owner(session, tenant.id)
    before = {"user_id": membership.user_id, "role": membership.role}
    membership.role = role
    record(
        session,
        "tenant.role_changed",
        "tenant",
        tenant.id,
        before=before,
        after=before | {"role": role},
    )
    await session.flush()


async def remove(session: AsyncSession, caller: Member, user_id: UUID) -> None:
    """Somebody works for the tenant no longer, from this moment on."""
    needed = None if user_id == caller.user_id else TenantPermission.WRITE
    tenant, caller = await at_work(session, caller, needed)
    await lock_user(session, user_id)
    membership = await get(session, tenant.id, user_id)
    if user_id != caller.user_id:
        demand_rank(caller, membership.role)
    if membership.role == TenantRole.OWNER:
        await demand_another_owner(session, tenant.id)
    await session.delete(membership)
    record(session, "tenant.member_left", "tenant", tenant.id, before={"user_id": user_id})
    await session.flush()


async def transfer(session: AsyncSession, caller: Member, user_id: UUID) -> None:
    """Make somebody else the owner, and oneself an administrator."""
    tenant, caller = await at_work(session, caller, TenantPermission.OWN)
    await lock_user(session, user_id)
    heir = await get(session, tenant.id, user_id)
    if user_id == caller.user_id:
        return
    await assign(session, caller, tenant, heir, TenantRole.OWNER)
    await assign(
        session, caller, tenant, await get(session, tenant.id, caller.user_id), TenantRole.ADMIN
    )


def demand_rank(caller: Member, *roles: str) -> None:
    """Only owners touch owners, or make them."""
    if TenantRole.OWNER in roles and not caller.holds({TenantPermission.OWN}):
        raise OwnersOnly


async def demand_another_owner(session: AsyncSession, tenant_id: UUID) -> None:
    """Refuse when there is one owner only; the tenant is locked."""
    if await repository.count_owners(session, tenant_id) <= 1:
        raise LastOwner
