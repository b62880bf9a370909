"""Tenants, their members and invitations."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self, cast

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload
from strawberry import relay

from app.core.pagination import Found
from app.core.routing import CUSTOMER, SERVICE, About
from app.core.security.access import Can, signed_in
from app.features import audit
from app.features.graphql.context import Info, current
from app.features.graphql.fields import Path, field
from app.features.graphql.nodes import Identified, name_of, one, uuid_of
from app.features.graphql.pages import connection
from app.features.graphql.schemas import Shown, accepts, checked, filters, shows, valid
from app.features.graphql.types.tenant_lists import within
from app.features.graphql.types.users import User
from app.features.tenants import (
    authentication,
    invitations,
    members,
    models,
    repository,
    schemas,
    service,
)
from app.features.tenants.authentication import ONE_TENANT
from app.features.tenants.permissions import PlatformPermission, TenantPermission

read_tenant, write_tenant = Can(TenantPermission.READ), Can(TenantPermission.WRITE)
own_tenant, suspend_tenants = Can(TenantPermission.OWN), Can(PlatformPermission.SUSPEND)


def tenant_in(argument: str) -> Path:
    """The tenant that an argument names, as a path does in REST."""

    def path(source: object, arguments: Mapping[str, Any]) -> Mapping[str, str]:
        return {ONE_TENANT.parameter: str(uuid_of(Tenant, arguments[argument]))}

    return path


@shows(schemas.MemberRead)
class Member(Shown):
    user_id: relay.GlobalID

    @classmethod
    def of(cls, row: Any, **more: Any) -> Self:  # noqa: ANN401, as in `Shown`
        """The member as REST shows it: most of it is of the account."""
        shown = schemas.MemberRead.model_validate(row)
        user_id = relay.GlobalID(name_of(User), str(shown.user_id))
        return super().of(shown, user_id=user_id, **more)


@shows(schemas.InvitationRead)
class Invitation(Identified): ...


@shows(schemas.TenantRead)
class Tenant(Identified):
    access: ClassVar[Any] = read_tenant
    about: ClassVar[About] = ONE_TENANT
    path: ClassVar[Path] = tenant_in("id")
    get = service.get

    members = within(
        Member,
        schemas.MemberQuery,
        models.Membership.tenant_id,
        joinedload(models.Membership.user),
        permission=TenantPermission.READ,
        description="List the members of the tenant.",
    )
    invitations = within(
        Invitation,
        schemas.InvitationQuery,
        models.Invitation.tenant_id,
        permission=TenantPermission.WRITE,
        description="List invitations, newest first by default.",
    )


@shows(schemas.MembershipRead)
class Membership(Shown):
    tenant: Tenant

    @classmethod
    def of(cls, row: Any, **more: Any) -> Self:  # noqa: ANN401, as in `Shown`
        """The membership, with its tenant."""
        return super().of(row, tenant=Tenant.of(row.tenant), **more)


@shows(schemas.TenantEventRead)
class TenantAuditEvent(Identified): ...


@filters(schemas.TenantEventQuery)
class TenantAuditFilter: ...


@accepts(schemas.NewTenant)
class NewTenant: ...


@accepts(schemas.NewInvitation)
class NewInvitation: ...


async def own_memberships(
    session: AsyncSession, query: schemas.MembershipQuery
) -> Found[models.Membership]:
    """The caller's tenants."""
    return await repository.memberships(session, current.get().principal.user_id, query)


@strawberry.type
class Query:
    tenant = one(Tenant, "Get a tenant.")
    tenants = connection(
        Membership,
        schemas.MembershipQuery,
        own_memberships,
        access=signed_in,
        about=SERVICE,
        description="List the caller's tenants.",
    )
    all_tenants = connection(
        Tenant,
        schemas.TenantQuery,
        repository.page,
        access=Can(PlatformPermission.READ),
        about=SERVICE,
        description="List all tenants of the service, newest first by default.",
    )
    tenant_audit_events = connection(
        TenantAuditEvent,
        schemas.TenantEventQuery,
        audit.page,
        access=Can(TenantPermission.AUDIT),
        about=CUSTOMER,
        filters=TenantAuditFilter,
        description="List the audit events of the tenant that X-Tenant-ID names, newest first by default.",
    )


@strawberry.type
class Mutation:
    @field(signed_in, SERVICE)
    async def create_tenant(self, info: Info, input: NewTenant) -> Membership:
        """Create a tenant owned by the caller."""
        new = checked(schemas.NewTenant, input)
        async with info.context.unit_of_work() as session:
            return Membership.of(await service.create(session, info.context.principal, new))

    @field(signed_in, SERVICE)
    async def accept_invitation(self, info: Info, token: str) -> Membership:
        """Accept an invitation with the mailed token."""
        wanted = valid(schemas.Acceptance, {"token": token})
        async with info.context.unit_of_work() as session:
            principal = info.context.principal
            return Membership.of(await invitations.accept(session, principal, wanted.token))

    @field(signed_in, SERVICE)
    async def restore_tenant(self, info: Info, id: relay.GlobalID) -> Tenant:
        """Restore a deleted tenant within its grace period. Owners only."""
        async with info.context.unit_of_work() as session:
            principal = info.context.principal
            return Tenant.of(await service.restore(session, principal, uuid_of(Tenant, id)))

    @field(suspend_tenants, SERVICE)
    async def suspend_tenant(self, info: Info, id: relay.GlobalID) -> Tenant:
        """Suspend a tenant: its members lose access until it is resumed."""
        async with info.context.unit_of_work() as session:
            return Tenant.of(await service.suspend(session, uuid_of(Tenant, id), suspended=True))

    @field(suspend_tenants, SERVICE)
    async def resume_tenant(self, info: Info, id: relay.GlobalID) -> Tenant:
        """Resume a suspended tenant."""
        async with info.context.unit_of_work() as session:
            return Tenant.of(await service.suspend(session, uuid_of(Tenant, id), suspended=False))

    @field(write_tenant, ONE_TENANT, path=tenant_in("id"))
    async def rename_tenant(self, info: Info, id: relay.GlobalID, input: NewTenant) -> Tenant:
        """Rename a tenant."""
        wanted = checked(schemas.NewTenant, input)
        async with info.context.unit_of_work() as session:
            return Tenant.of(await service.rename(session, caller(info), wanted))

    @field(own_tenant, ONE_TENANT, path=tenant_in("id"))
    async def delete_tenant(self, info: Info, id: relay.GlobalID) -> relay.GlobalID:
        """Delete a tenant. It becomes inaccessible immediately, and is purged after a grace period."""
        async with info.context.unit_of_work() as session:
            await service.delete(session, caller(info))
        return id

    @field(signed_in, ONE_TENANT, path=tenant_in("id"))
    async def leave_tenant(self, info: Info, id: relay.GlobalID) -> relay.GlobalID:
        """Leave a tenant."""
        async with info.context.unit_of_work() as session:
            await members.remove(session, caller(info), caller(info).user_id)
        return id

    @field(own_tenant, ONE_TENANT, path=tenant_in("id"))
    async def transfer_tenant(
        self, info: Info, id: relay.GlobalID, user_id: relay.GlobalID
    ) -> relay.GlobalID:
        """Transfer ownership to another member, and become an administrator."""
        async with info.context.unit_of_work() as session:
            await members.transfer(session, caller(info), uuid_of(User, user_id))
        return id

    @field(write_tenant, ONE_TENANT, path=tenant_in("tenant_id"))
    async def change_member_role(
        self,
        info: Info,
        tenant_id: relay.GlobalID,
        user_id: relay.GlobalID,
        role: models.TenantRole,
    ) -> relay.GlobalID:
        """Change the role of a member."""
        async with info.context.unit_of_work() as session:
            await members.change_role(session, caller(info), uuid_of(User, user_id), role)
        return user_id

    @field(write_tenant, ONE_TENANT, path=tenant_in("tenant_id"))
    async def remove_member(
        self, info: Info, tenant_id: relay.GlobalID, user_id: relay.GlobalID
    ) -> relay.GlobalID:
        """Remove a member."""
        async with info.context.unit_of_work() as session:
            await members.remove(session, caller(info), uuid_of(User, user_id))
        return user_id

    @field(write_tenant, ONE_TENANT, path=tenant_in("tenant_id"))
    async def invite_member(
        self, info: Info, tenant_id: relay.GlobalID, input: NewInvitation
    ) -> Invitation:
        """Invite a user by mail."""
        new = checked(schemas.NewInvitation, input)
        service = info.context.service
        return Invitation.of(
            await invitations.invite(service.database, service.settings, caller(info), new)
        )

    @field(write_tenant, ONE_TENANT, path=tenant_in("tenant_id"))
    async def revoke_invitation(
        self, info: Info, tenant_id: relay.GlobalID, id: relay.GlobalID
    ) -> relay.GlobalID:
        """Revoke an invitation."""
        async with info.context.unit_of_work() as session:
            await invitations.revoke(session, caller(info), uuid_of(Invitation, id))
        return id


def caller(info: Info) -> authentication.Member:
    """The caller, as a member of the tenant that the field names."""
    return cast("authentication.Member", info.context.principal)
