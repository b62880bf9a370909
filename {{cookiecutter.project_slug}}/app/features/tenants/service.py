"""Rules about tenants."""

from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import utc_now
from app.core.db.errors import DeletedMeanwhile
from app.core.security.access import NotAllowed, require_recent_sign_in
from app.core.security.principal import Principal
from app.core.service import settings_of
from app.core.tenancy import within
from app.features import audit, users
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
from app.features.tenants.schemas import NewTenant
from app.features.tenants.settings import TenantSettings


async def get(session: AsyncSession, tenant_id: UUID) -> Tenant:
    """One tenant."""
    tenant = await repository.get(session, tenant_id)
    if tenant is None:
        raise TenantNotFound
    return tenant


async def acting_for(session: AsyncSession, tenant_id: UUID) -> AbstractContextManager[None]:
    """A context in which sessions are those of this tenant."""
    return within((await get(session, tenant_id)).id)


async def locked(session: AsyncSession, tenant_id: UUID) -> Tenant:
    """One tenant, locked until the commit: its members and its state stay as they are."""
    tenant = await repository.lock(session, tenant_id)
    if tenant is None:
        raise TenantNotFound
    return tenant


async def lock_as_member(
    session: AsyncSession, caller: Member, permission: TenantPermission | None = None
) -> tuple[Tenant, Member]:
    """The caller's tenant, locked, and the caller with their current role: they may have been removed."""
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


async def create(session: AsyncSession, principal: Principal, new: NewTenant) -> Membership:
    """Create a tenant owned by the caller."""
    most = settings_of(session, TenantSettings).per_user
    if await users.lock(session, principal.user_id) is None:
        raise DeletedMeanwhile
    if await repository.count_owned(session, principal.user_id) >= most:
        raise TooMany("tenants per owner", most)
    return await add(session, Tenant(name=new.name), principal.user_id)


async def add(session: AsyncSession, tenant: Tenant, owner_id: UUID) -> Membership:
    """Add a new tenant and its owner."""
    session.add(tenant)
    await session.flush()
    with within(tenant.id):
        membership = Membership(user_id=owner_id, role=TenantRole.OWNER, tenant=tenant)
        session.add(membership)
        audit.record(session, "tenant.created", "tenant", tenant.id, after={"name": tenant.name})
    await session.flush()
    return membership


async def rename(session: AsyncSession, caller: Member, wanted: NewTenant) -> Tenant:
    """Rename the tenant."""
    tenant, _ = await lock_as_member(session, caller, TenantPermission.WRITE)
    before = {"name": tenant.name}
    tenant.name = wanted.name
    audit.record(
        session, "tenant.renamed", "tenant", tenant.id, before=before, after=wanted.model_dump()
    )
    await session.flush()
    return tenant


async def delete(session: AsyncSession, caller: Member) -> None:
    """Delete the tenant: it is inaccessible at once, and purged after the grace period."""
    require_recent_sign_in(session, caller)
    tenant, _ = await lock_as_member(session, caller, TenantPermission.OWN)
    if tenant.personal_user_id is not None:
        raise PersonalTenant
    tenant.deleted_at = utc_now()
    audit.record(session, "tenant.deleted", "tenant", tenant.id)
    await session.flush()


def grace_ends(session: AsyncSession) -> datetime:
    """Tenants deleted by this time are purged, and can no longer be restored."""
    return utc_now() - timedelta(days=settings_of(session, TenantSettings).grace_days)


async def restore(session: AsyncSession, principal: Principal, tenant_id: UUID) -> Tenant:
    """Restore a deleted tenant within its grace period, as one of its owners."""
    membership = await repository.membership(session, tenant_id, principal.user_id)
    if membership is None:  # strangers do not even wait for the lock
        raise TenantNotFound
    tenant = await locked(session, tenant_id)
    membership = await repository.membership(session, tenant_id, principal.user_id)
    if membership is None or tenant.deleted_at is None or tenant.deleted_at <= grace_ends(session):
        raise TenantNotFound
    if membership.role != TenantRole.OWNER:
        raise OwnersOnly
    tenant.deleted_at = None
    with within(tenant.id):
        audit.record(session, "tenant.restored", "tenant", tenant.id)
    await session.flush()
    return tenant


async def suspend(session: AsyncSession, tenant_id: UUID, *, suspended: bool) -> Tenant:
    """Suspend a tenant, or resume it; for operators of the service."""
    tenant = await locked(session, tenant_id)
    if suspended == (tenant.suspended_at is not None):
        return tenant
    tenant.suspended_at = utc_now() if suspended else None
    with within(tenant.id):
        action = "tenant.suspended" if suspended else "tenant.resumed"
        audit.record(session, action, "tenant", tenant.id)
    await session.flush()
    return tenant


async def leave_behind(session: AsyncSession, user_id: UUID) -> None:
    """Delete the tenants of an account being deleted; those with other members need another owner.

    A suspended one is deleted too: its owner cannot transfer it.
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
            audit.record(session, "tenant.deleted", "tenant", tenant.id)
