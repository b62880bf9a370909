"""Dependencies of endpoints."""

from typing import Annotated, cast
from uuid import UUID

from fastapi import Depends

from app.core.db.session import SessionDep
from app.core.security.access import CurrentPrincipal
from app.features.tenants import service
from app.features.tenants.authentication import Member
from app.features.tenants.models import Tenant


async def current_member(principal: CurrentPrincipal, tenant_id: UUID) -> Member:
    """The caller, as a member of the tenant in the path."""
    return cast("Member", principal)


async def current_tenant(member: "CurrentMember", session: SessionDep) -> Tenant:
    """The tenant in the path."""
    return await service.get(session, member.tenant_id)


CurrentMember = Annotated[Member, Depends(current_member)]
CurrentTenant = Annotated[Tenant, Depends(current_tenant, scope="function")]
