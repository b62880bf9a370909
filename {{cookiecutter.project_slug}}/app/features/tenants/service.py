"""Rules about tenants."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import utc_now
from app.core.db.errors import DeletedMeanwhile
from app.core.pagination import Found
from app.core.security.access import NotAllowed
from app.core.security.principal import Principal
from app.core.service import settings_of
from app.core.tenancy import within
from app.features.audit.service import record
from app.features.tenants import repository
from app.features.tenants.authentication import Member, open_to_members
from app.features.tenants.failures import (
    LastOwner,
    OwnersOnly,
    PersonalTenant,
    TenantNotFound,
    TooMany,
)
from app.features.tenants.models import Membership, Tenant, TenantRole
from app.features.tenants.permissions import TenantPermission
from app.features.tenants.repository import Standing
from app.features.tenants.schemas import MembershipQuery, NewTenant, TenantQuery
from app.features.tenants.settings import TenantSettings
from app.features.users.repository import lock as lock_user


async def get(session: AsyncSession, tenant_id: UUID) -> Tenant:
    """One tenant."""
    tenant = await repository.get(session, tenant_id)
    if tenant is None:
        raise TenantNotFound
    return tenant


async def locked(session: AsyncSession, tenant_id: UUID) -> Tenant:
    """One tenant, whose members and fate nobody else changes until the commit."""
    tenant = await repository.lock(session, tenant_id)
    if tenant is None:
        raise TenantNotFound
    return tenant


async def at_work(
    session: AsyncSession, caller: Member, permission: TenantPermission | None = None
) -> tuple[Tenant, Member]:
    """The caller's tenant, locked, and what the caller is in it now: they may have been removed."""
    tenant = await locked(session, caller.tenant_id)
    membership = await repository.membership(session, tenant.id, caller.user_id)
    role = membership.role if membership else ""
    open_to_members(
        Standing(tenant.id, role, tenant.suspended_at, tenant.deleted_at) if membership else None
    )
    now = replace(caller, role=role)
    if permission is not None and not now.holds({permission}):
        raise NotAllowed(permission)
    return tenant, now


async def page(session: AsyncSession, query: TenantQuery) -> Found[Tenant]:
    """One page of all tenants."""
    return await repository.page(session, query)


async def mine(
    session: AsyncSession, principal: Principal, query: MembershipQuery
) -> Found[Membership]:
    """One page of the tenants that the caller works for."""
    return await repository.memberships(session, principal.user_id, query)


async def create(session: AsyncSession, principal: Principal, new: NewTenant) -> Membership:
    """Make a tenant that the caller owns."""
    most = settings_of(session, TenantSettings).per_user
    if await lock_user(session, principal.user_id) is None:
        raise DeletedMeanwhile
    if await repository.count_owned(session, principal.user_id) >= most:
        raise TooMany("tenants of one owner", most)
    return await add(session, Tenant(name=new.name), principal.user_id)


async def add(session: AsyncSession, tenant: Tenant, owner_id: UUID) -> Membership:
    """A new tenant, and its owner."""
    session.add(tenant)
    await session.flush()
    with within(tenant.id):
        membership = Membership(user_id=owner_id, role=TenantRole.OWNER, tenant=tenant)
        session.add(membership)
        record(session, "tenant.created", "tenant", tenant.id, after={"name": tenant.name})
    await session.flush()
    return membership


async def rename(session: AsyncSession, caller: Member, wanted: NewTenant) -> Tenant:
    """Give it another name."""
    tenant, _ = await at_work(session, caller, TenantPermission.WRITE)
    before = {"name": tenant.name}
    tenant.name = wanted.name
    record(session, "tenant.renamed", "tenant", tenant.id, before=before, after=wanted.model_dump())
    await session.flush()
    return tenant


async def delete(session: AsyncSession, caller: Member) -> None:
    """Put it out of reach; it is purged when the days of grace are over."""
    tenant, _ = await at_work(session, caller, TenantPermission.OWN)
    if tenant.personal_user_id is not None:
        raise PersonalTenant
    tenant.deleted_at = utc_now()
    record(session, "tenant.deleted", "tenant", tenant.id)
    await session.flush()


def grace_ends(session: AsyncSession) -> datetime:
    """Tenants that were deleted by this instant are purged, and can no longer be restored."""
    return utc_now() - timedelta(days=settings_of(session, TenantSettings).grace_days)


async def restore(session: AsyncSession, principal: Principal, tenant_id: UUID) -> Tenant:
    """Take a deletion back while the days of grace last, as one of its owners."""
    membership = await repository.membership(session, tenant_id, principal.user_id)
    if membership is None:  # strangers do not even wait
        raise TenantNotFound
    tenant = await locked(session, tenant_id)
    membership = await repository.membership(session, tenant_id, principal.user_id)
    if membership is None or tenant.deleted_at is None or tenant.deleted_at <= grace_ends(session):
        raise TenantNotFound
    if membership.role != TenantRole.OWNER:
        raise OwnersOnly
    tenant.deleted_at = None
    with within(tenant.id):
        record(session, "tenant.restored", "tenant", tenant.id)
    await session.flush()
    return tenant


async def suspend(session: AsyncSession, tenant_id: UUID, *, suspended: bool) -> Tenant:
    """Close it for its members, or open it again; for those who run the service."""
    tenant = await locked(session, tenant_id)
    if suspended == (tenant.suspended_at is not None):
        return tenant
    tenant.suspended_at = utc_now() if suspended else None
    with within(tenant.id):
        action = "tenant.suspended" if suspended else "tenant.resumed"
        record(session, action, "tenant", tenant.id)
    await session.flush()
    return tenant


async def leave_behind(session: AsyncSession, user_id: UUID) -> None:
    """An account goes: so do the tenants that nobody else works for; others need another owner.

    One that is suspended goes too: its owner cannot hand it over.
    """
    for tenant_id in await repository.owned(session, user_id):
        tenant = await locked(session, tenant_id)
        if tenant.deleted_at is not None or await repository.count_owners(session, tenant_id) > 1:
            continue
        others = await repository.count_members(session, tenant_id) - 1
        if others and tenant.suspended_at is None:
            raise LastOwner
        tenant.deleted_at = utc_now()
        with within(tenant.id):
            record(session, "tenant.deleted", "tenant", tenant.id)
