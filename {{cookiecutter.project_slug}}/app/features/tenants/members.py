"""Rules about members of a tenant.

Lock order: the tenant first, then accounts, one of which may be about to be deleted.
"""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.security.access import require_recent_sign_in
from app.features import audit, users
from app.features.tenants import repository
from app.features.tenants.authentication import Member
from app.features.tenants.failures import LastOwner, MemberNotFound, OwnersOnly, PersonalTenant
from app.features.tenants.models import Membership, Tenant, TenantRole
from app.features.tenants.permissions import TenantPermission
from app.features.tenants.service import lock_as_member


async def get(session: AsyncSession, tenant_id: UUID, user_id: UUID) -> Membership:
    """One member."""
    membership = await repository.membership(session, tenant_id, user_id)
    if membership is None:
        raise MemberNotFound
    return membership


async def change_role(
    session: AsyncSession, caller: Member, user_id: UUID, role: TenantRole
) -> None:
    """Change the role of a member."""
    tenant, caller = await lock_as_member(session, caller, TenantPermission.WRITE)
    await users.lock(session, user_id)
    membership = await get(session, tenant.id, user_id)
    await assign(session, caller, tenant, membership, role)


async def assign(
    session: AsyncSession, caller: Member, tenant: Tenant, membership: Membership, role: str
) -> None:
    """Assign a role to a member, if the caller's rank allows it."""
    require_rank(caller, membership.role, role)
    if role == TenantRole.OWNER and membership.role != role and tenant.personal_user_id:
        raise PersonalTenant
    if membership.role == TenantRole.OWNER and role != TenantRole.OWNER:
        await require_another_owner(session, tenant.id)
    before = {"user_id": membership.user_id, "role": membership.role}
    membership.role = role
    audit.record(
        session,
        "tenant.role_changed",
        "tenant",
        tenant.id,
        before=before,
        after=before | {"role": role},
    )
    await session.flush()


async def remove(session: AsyncSession, caller: Member, user_id: UUID) -> None:
    """Remove a member, or leave; it takes effect at once."""
    needed = None if user_id == caller.user_id else TenantPermission.WRITE
    tenant, caller = await lock_as_member(session, caller, needed)
    await users.lock(session, user_id)
    membership = await get(session, tenant.id, user_id)
    if user_id != caller.user_id:
        require_rank(caller, membership.role)
    if membership.role == TenantRole.OWNER:
        await require_another_owner(session, tenant.id)
    await session.delete(membership)
    audit.record(session, "tenant.member_left", "tenant", tenant.id, before={"user_id": user_id})
    await session.flush()


async def transfer(session: AsyncSession, caller: Member, user_id: UUID) -> None:
    """Make another member the owner, and the caller an administrator."""
    require_recent_sign_in(session, caller)
    tenant, caller = await lock_as_member(session, caller, TenantPermission.OWN)
    await users.lock(session, user_id)
    successor = await get(session, tenant.id, user_id)
    if user_id == caller.user_id:
        return
    await assign(session, caller, tenant, successor, TenantRole.OWNER)
    await assign(
        session, caller, tenant, await get(session, tenant.id, caller.user_id), TenantRole.ADMIN
    )


def require_rank(caller: Member, *roles: str) -> None:
    """Require an owner to change owners, or to make one."""
    if TenantRole.OWNER in roles and not caller.holds({TenantPermission.OWN}):
        raise OwnersOnly


async def require_another_owner(session: AsyncSession, tenant_id: UUID) -> None:
    """Require another owner; the tenant is locked."""
    if await repository.count_owners(session, tenant_id) <= 1:
        raise LastOwner
