"""Lists within a tenant, such as its members; those of many tenants are read together."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.orm.interfaces import ORMOption
from strawberry.types.field import StrawberryField

from app.core import tenancy
from app.core.errors import Failure
from app.core.pagination import Found, ListQuery
from app.core.routing import SERVICE
from app.core.security.access import NotAllowed, signed_in
from app.features.graphql.context import Context, Info
from app.features.graphql.fields import Access, declared, nothing
from app.features.graphql.pages import TOTAL, Connection, Window, page_of, selected_in, windowed
from app.features.graphql.repository import pages_of
from app.features.tenants import authentication, models
from app.features.tenants.permissions import TenantPermission, granted_by
from app.features.tenants.repository import Standing


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
