"""Tenants, their members and invitations."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self, cast
from uuid import UUID

import strawberry
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, joinedload
from sqlalchemy.orm.interfaces import ORMOption
from strawberry import relay
from strawberry.types.field import StrawberryField

from app.core import tenancy
from app.core.errors import Failure
from app.core.pagination import Found, ListQuery
from app.core.routing import CUSTOMER, SERVICE, About
from app.core.security.access import Can, NotAllowed, signed_in
from app.features import audit
from app.features.graphql.context import Context, Info, current
from app.features.graphql.fields import Access, Path, declared, field, nothing
from app.features.graphql.nodes import Identified, name_of, one, uuid_of
from app.features.graphql.pages import (
    TOTAL,
    Connection,
    Window,
    connection,
    page_of,
    selected_in,
    windowed,
)
from app.features.graphql.repository import pages_of
from app.features.graphql.schemas import Shown, accepts, checked, filters, shows, valid
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
from app.features.tenants.permissions import PlatformPermission, TenantPermission, granted_by
from app.features.tenants.repository import Standing

read_tenant, write_tenant = Can(TenantPermission.READ), Can(TenantPermission.WRITE)
own_tenant, suspend_tenants = Can(TenantPermission.OWN), Can(PlatformPermission.SUSPEND)


def tenant_in(argument: str) -> Path:
    """The tenant that an argument names, as a path does in REST."""

    def path(source: object, arguments: Mapping[str, Any]) -> Mapping[str, str]:
        return {ONE_TENANT.parameter: str(uuid_of(Tenant, arguments[argument]))}

    return path


async def standings(context: Context, ids: list[UUID]) -> dict[UUID, Standing]:
    """The caller's standing in each of these tenants."""
    statement = (
        select(
            models.Membership.tenant_id,
            models.Membership.role,
            models.Tenant.suspended_at,
            models.Tenant.deleted_at,
        )
        .join(models.Tenant, models.Tenant.id == models.Membership.tenant_id)
        .where(
            models.Membership.user_id == context.principal.user_id,
            models.Membership.tenant_id.in_(ids),
        )
    )
    async with context.reading() as session:
        return {row[0]: Standing(*row) for row in await session.execute(statement)}


async def refusals(
    context: Context, ids: list[UUID], permission: TenantPermission
) -> dict[UUID, Failure]:
    """For each tenant in which the caller may not do this, the failure that an endpoint reports."""
    granted = granted_by(context.service.features)
    found = await standings(context, ids)
    refused: dict[UUID, Failure] = {}
    for each in ids:
        try:
            standing = authentication.open_to_members(found.get(each))
            caller = authentication.member(context.principal, standing, granted)
            if not caller.holds({permission}):
                raise NotAllowed(permission)
        except Failure as failure:
            refused[each] = failure
    return refused


def within(
    kind: Any,  # noqa: ANN401, a type of the schema
    query: type[ListQuery],
    parent: InstrumentedAttribute[Any],
    *options: ORMOption,
    permission: TenantPermission,
    description: str,
) -> StrawberryField:
    """A list within a tenant; the same lists of many tenants are read together."""

    async def read(source: Any, info: Info, window: Window) -> object:  # noqa: ANN401, a `Tenant`
        selected = selected_in(info)
        wanted = window.of(query, with_total=TOTAL in selected)

        async def load(context: Context, ids: list[UUID]) -> list[Found[Any] | Failure]:
            refused = await refusals(context, ids, permission)
            allowed = [each for each in ids if each not in refused]
            continued = allowed[0] if allowed and wanted.cursor else None
            with tenancy.within(continued):
                async with context.reading() as session:
                    found = await pages_of(session, parent, allowed, wanted, *options)
            pages = dict(zip(allowed, found, strict=True))
            return [refused.get(each) or pages[each] for each in ids]

        loader = info.context.loader(load, (description, repr(window), wanted.with_total))
        found = await loader.load(source.id)
        with tenancy.within(source.id):  # its cursors are those of REST, good for this tenant only
            return page_of(found, kind, selected)

    page = Connection[kind]
    access = Access(signed_in, SERVICE, nothing)
    return declared(windowed(page, read), page, description, access)


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
        """Delete a tenant. It is inaccessible at once, and purged after a grace period."""
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
        settings = info.context.service.settings
        async with info.context.unit_of_work() as session:
            return Invitation.of(await invitations.invite(session, settings, caller(info), new))

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
