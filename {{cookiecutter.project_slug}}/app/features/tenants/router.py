"""Endpoints."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from sqlalchemy import Row

from app.core.db.session import DatabaseDep, ReadSessionDep, SessionDep
from app.core.openapi import problems
from app.core.pagination import Found, Page
from app.core.routing import SERVICE, router as new_router
from app.core.security.access import Can, CurrentPrincipal
from app.core.settings import SettingsDep
from app.features import audit
from app.features.tenants import invitations, members, repository, service
from app.features.tenants.authentication import ONE_TENANT
from app.features.tenants.deps import CurrentMember, CurrentTenant
from app.features.tenants.models import Invitation, Membership, Tenant
from app.features.tenants.permissions import PlatformPermission, TenantPermission
from app.features.tenants.schemas import (
    Acceptance,
    InvitationQuery,
    InvitationRead,
    MemberChange,
    MemberQuery,
    MemberRead,
    MembershipQuery,
    MembershipRead,
    NewInvitation,
    NewTenant,
    TenantEventQuery,
    TenantEventRead,
    TenantQuery,
    TenantRead,
    Transfer,
)

tenants = new_router("/tenants", tag="tenants", about=SERVICE)
invitation = new_router("/invitations", tag="tenants", about=SERVICE)
platform = new_router("/platform/tenants", tag="tenants", about=SERVICE)
tenant = new_router("/tenants/{tenant_id}", tag="tenants", about=ONE_TENANT)

NO_TENANT = problems({404: "No such tenant, or you are not a member"})
NO_MEMBER = problems({404: "No such tenant or member"})
CONFLICT = problems({409: "It would leave no owner, or the tenant is personal"})


@tenants.get("", response_model=Page[MembershipRead])
async def list_tenants(
    principal: CurrentPrincipal,
    session: ReadSessionDep,
    query: Annotated[MembershipQuery, Depends(MembershipQuery.requested)],
) -> Found[Membership]:
    """List the caller's tenants."""
    return await repository.memberships(session, principal.user_id, query)


@tenants.post(
    "",
    status_code=201,
    response_model=MembershipRead,
    responses=problems({409: "You own too many tenants"}),
)
async def create_tenant(
    principal: CurrentPrincipal, session: SessionDep, new: NewTenant, response: Response
) -> Membership:
    """Create a tenant owned by the caller."""
    membership = await service.create(session, principal, new)
    response.headers["Location"] = f"{tenants.prefix}/{membership.tenant_id}"
    return membership


@invitation.post("/accept", response_model=MembershipRead)
async def accept_invitation(
    principal: CurrentPrincipal, session: SessionDep, wanted: Acceptance
) -> Membership:
    """Accept an invitation with the mailed token."""
    return await invitations.accept(session, principal, wanted.token)


@platform.get(
    "",
    response_model=Page[TenantRead],
    dependencies=[Can(PlatformPermission.READ)],
)
async def list_all_tenants(
    database: DatabaseDep, query: Annotated[TenantQuery, Depends(TenantQuery.requested)]
) -> Found[Row[Any]]:
    """List all tenants of the service, newest first by default."""
    return await repository.page(database, query)


@platform.post(
    "/{registered_id}/suspend",
    response_model=TenantRead,
    dependencies=[Can(PlatformPermission.SUSPEND)],
    responses=NO_TENANT,
)
async def suspend_tenant(session: SessionDep, registered_id: UUID) -> Tenant:
    """Suspend a tenant: its members lose access until it is resumed."""
    return await service.suspend(session, registered_id, suspended=True)


@platform.post(
    "/{registered_id}/resume",
    response_model=TenantRead,
    dependencies=[Can(PlatformPermission.SUSPEND)],
    responses=NO_TENANT,
)
async def resume_tenant(session: SessionDep, registered_id: UUID) -> Tenant:
    """Resume a suspended tenant."""
    return await service.suspend(session, registered_id, suspended=False)


@tenants.post("/{deleted_id}/restore", response_model=TenantRead, responses=NO_TENANT)
async def restore_tenant(
    principal: CurrentPrincipal, session: SessionDep, deleted_id: UUID
) -> Tenant:
    """Restore a deleted tenant within its grace period. Owners only."""
    return await service.restore(session, principal, deleted_id)


@tenant.get(
    "",
    response_model=TenantRead,
    dependencies=[Can(TenantPermission.READ)],
    responses=NO_TENANT,
)
async def get_tenant(found: CurrentTenant) -> Tenant:
    """Get a tenant."""
    return found


@tenant.patch(
    "",
    response_model=TenantRead,
    dependencies=[Can(TenantPermission.WRITE)],
    responses=NO_TENANT,
)
async def rename_tenant(member: CurrentMember, session: SessionDep, wanted: NewTenant) -> Tenant:
    """Rename a tenant."""
    return await service.rename(session, member, wanted)


@tenant.delete(
    "",
    status_code=204,
    dependencies=[Can(TenantPermission.OWN)],
    responses=NO_TENANT | CONFLICT,
)
async def delete_tenant(member: CurrentMember, session: SessionDep) -> None:
    """Delete a tenant. It becomes inaccessible immediately, and is purged after a grace period."""
    await service.delete(session, member)


@tenant.post("/leave", status_code=204, responses=NO_TENANT | CONFLICT)
async def leave_tenant(member: CurrentMember, session: SessionDep) -> None:
    """Leave a tenant."""
    await members.remove(session, member, member.user_id)


@tenant.post(
    "/transfer",
    status_code=204,
    dependencies=[Can(TenantPermission.OWN)],
    responses=NO_MEMBER | CONFLICT,
)
async def transfer_tenant(member: CurrentMember, session: SessionDep, wanted: Transfer) -> None:
    """Transfer ownership to another member, and become an administrator."""
    await members.transfer(session, member, wanted.user_id)


@tenant.get(
    "/members",
    response_model=Page[MemberRead],
    dependencies=[Can(TenantPermission.READ)],
    responses=NO_TENANT,
)
async def list_members(
    member: CurrentMember,
    session: ReadSessionDep,
    query: Annotated[MemberQuery, Depends(MemberQuery.requested)],
) -> Found[Membership]:
    """List the members of a tenant."""
    return await repository.members(session, member.tenant_id, query)


@tenant.put(
    "/members/{user_id}/role",
    status_code=204,
    dependencies=[Can(TenantPermission.WRITE)],
    responses=NO_MEMBER | CONFLICT,
)
async def change_member_role(
    member: CurrentMember, session: SessionDep, user_id: UUID, wanted: MemberChange
) -> None:
    """Change the role of a member."""
    await members.change_role(session, member, user_id, wanted.role)


@tenant.delete(
    "/members/{user_id}",
    status_code=204,
    dependencies=[Can(TenantPermission.WRITE)],
    responses=NO_MEMBER | CONFLICT,
)
async def remove_member(member: CurrentMember, session: SessionDep, user_id: UUID) -> None:
    """Remove a member."""
    await members.remove(session, member, user_id)


@tenant.get(
    "/invitations",
    response_model=Page[InvitationRead],
    dependencies=[Can(TenantPermission.WRITE)],
    responses=NO_TENANT,
)
async def list_invitations(
    member: CurrentMember,
    session: ReadSessionDep,
    query: Annotated[InvitationQuery, Depends(InvitationQuery.requested)],
) -> Found[Invitation]:
    """List invitations, newest first by default."""
    return await repository.invitations(session, member.tenant_id, query)


@tenant.post(
    "/invitations",
    status_code=201,
    response_model=InvitationRead,
    dependencies=[Can(TenantPermission.WRITE)],
    responses=NO_TENANT | problems({409: "Already a member, or too many open invitations"}),
)
async def invite_member(
    member: CurrentMember, database: DatabaseDep, settings: SettingsDep, new: NewInvitation
) -> Invitation:
    """Invite a user by mail."""
    return await invitations.invite(database, settings, member, new)


@tenant.delete(
    "/invitations/{invitation_id}",
    status_code=204,
    dependencies=[Can(TenantPermission.WRITE)],
    responses=problems({404: "No such tenant or invitation"}),
)
async def revoke_invitation(
    member: CurrentMember, session: SessionDep, invitation_id: UUID
) -> None:
    """Revoke an invitation."""
    await invitations.revoke(session, member, invitation_id)


@tenant.get(
    "/audit-events",
    response_model=Page[TenantEventRead],
    dependencies=[Can(TenantPermission.AUDIT)],
    responses=NO_TENANT,
)
async def list_tenant_audit_events(
    member: CurrentMember,
    database: DatabaseDep,
    query: Annotated[TenantEventQuery, Depends(TenantEventQuery.requested)],
) -> Found[Row[Any]]:
    """List the audit events of a tenant, newest first by default."""
    return await audit.page(database, query)


router = APIRouter()
router.include_router(tenants)
router.include_router(invitation)
router.include_router(platform)
router.include_router(tenant)
