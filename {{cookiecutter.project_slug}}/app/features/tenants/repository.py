"""All SQL of tenants, their members and invitations."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, Uuid, and_, bindparam, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from app.core.db.session import Database
from app.core.listing import Listing
from app.core.pagination import Found, paginate
from app.features.tenants.models import Invitation, Membership, Tenant, TenantRole
from app.features.tenants.schemas import (
    InvitationQuery,
    MemberQuery,
    MembershipQuery,
    TenantQuery,
)
from app.features.users.models import User

TENANTS = Listing(TenantQuery, Tenant)


@dataclass(frozen=True, slots=True)
class Standing:
    """A user's role in a tenant, and the state of that tenant."""

    tenant_id: UUID
    role: str
    suspended_at: datetime | None
    deleted_at: datetime | None


@cache
def with_standing(statement: Select[Any], *, named: bool) -> Select[Any]:
    """Add the standing of `user_id` in the tenant that `named_tenant` names.

    If none is named, in the personal one, else the first one joined.
    """
    user_id = bindparam("user_id", type_=Uuid())
    if not named:
        own_first = case((Tenant.personal_user_id == user_id, 0), else_=1)
        default = (
            select(Membership.id)
            .join(Tenant, Tenant.id == Membership.tenant_id)
            .where(Membership.user_id == user_id, Tenant.deleted_at.is_(None))
            .order_by(own_first, Membership.created_at, Membership.id)
            .limit(1)
        )
        wanted = Membership.id == default.scalar_subquery()
    else:
        wanted = Membership.tenant_id == bindparam("named_tenant")
    return (
        statement.add_columns(
            Membership.tenant_id, Membership.role, Tenant.suspended_at, Tenant.deleted_at
        )
        .outerjoin(Membership, and_(Membership.user_id == User.id, wanted))
        .outerjoin(Tenant, Tenant.id == Membership.tenant_id)
    )


def standing_in(row: Row[Any]) -> Standing | None:
    """The standing in the last columns of the row."""
    told: tuple[Any, ...] = tuple(row)[-4:]
    return Standing(*told) if told[0] else None


async def open_ids(session: AsyncSession) -> Sequence[UUID]:
    """The ids of the tenants that are neither deleted nor suspended."""
    is_open = Tenant.deleted_at.is_(None), Tenant.suspended_at.is_(None)
    return (await session.scalars(select(Tenant.id).where(*is_open).order_by(Tenant.id))).all()


async def get(session: AsyncSession, tenant_id: UUID) -> Tenant | None:
    """The tenant with this id."""
    return await session.get(Tenant, tenant_id)


async def lock(session: AsyncSession, tenant_id: UUID) -> Tenant | None:
    """The tenant, reread and locked: changes of its members or its state wait here."""
    statement = select(Tenant).where(Tenant.id == tenant_id).with_for_update()
    return await session.scalar(statement, execution_options={"populate_existing": True})


async def page(reader: Database | AsyncSession, query: TenantQuery) -> Found[Row[Any]]:
    """All tenants, newest first."""
    return await TENANTS.page(reader, query)


async def memberships(
    session: AsyncSession, user_id: UUID, query: MembershipQuery
) -> Found[Membership]:
    """The tenants of a user, earliest joined first."""
    statement = (
        select(Membership)
        .where(Membership.user_id == user_id)
        .options(joinedload(Membership.tenant))
    )
    return await paginate(session, statement, query)


async def membership(session: AsyncSession, tenant_id: UUID, user_id: UUID) -> Membership | None:
    """A user's membership in a tenant, reread."""
    statement = select(Membership).where(
        Membership.tenant_id == tenant_id, Membership.user_id == user_id
    )
    return await session.scalar(statement, execution_options={"populate_existing": True})


async def members(session: AsyncSession, tenant_id: UUID, query: MemberQuery) -> Found[Membership]:
    """The members of a tenant, earliest joined first."""
    statement = (
        select(Membership)
        .where(Membership.tenant_id == tenant_id)
        .options(joinedload(Membership.user))
    )
    return await paginate(session, statement, query)


async def count_owners(session: AsyncSession, tenant_id: UUID) -> int:
    """How many owners a tenant has."""
    return await count(
        session, Membership.tenant_id == tenant_id, Membership.role == TenantRole.OWNER
    )


async def count_members(session: AsyncSession, tenant_id: UUID) -> int:
    """How many members a tenant has."""
    return await count(session, Membership.tenant_id == tenant_id)


async def count_owned(session: AsyncSession, user_id: UUID) -> int:
    """How many tenants a user owns."""
    return await count(session, Membership.user_id == user_id, Membership.role == TenantRole.OWNER)


async def count(session: AsyncSession, *conditions: ColumnElement[bool]) -> int:
    """How many memberships match."""
    statement = select(func.count()).select_from(Membership).where(*conditions)
    return await session.scalar(statement) or 0


async def owned(session: AsyncSession, user_id: UUID) -> list[UUID]:
    """The tenants that a user owns, always in the same order, as they are locked in it."""
    statement = select(Membership.tenant_id).where(
        Membership.user_id == user_id, Membership.role == TenantRole.OWNER
    )
    return sorted(await session.scalars(statement))


async def has_member(session: AsyncSession, tenant_id: UUID, email: str) -> bool:
    """Whether a user with this address is a member of the tenant."""
    statement = (
        select(Membership.id)
        .join(User, User.id == Membership.user_id)
        .where(Membership.tenant_id == tenant_id, User.email == email)
    )
    return await session.scalar(statement) is not None


async def email_of(session: AsyncSession, user_id: UUID) -> str | None:
    """The address of a user."""
    return await session.scalar(select(User.email).where(User.id == user_id))


async def invitations(
    session: AsyncSession, tenant_id: UUID, query: InvitationQuery
) -> Found[Invitation]:
    """The invitations of a tenant, newest first."""
    statement = select(Invitation).where(Invitation.tenant_id == tenant_id)
    return await paginate(session, statement, query)


async def invitation(
    session: AsyncSession, tenant_id: UUID, invitation_id: UUID
) -> Invitation | None:
    """One invitation of a tenant, locked."""
    statement = select(Invitation).where(
        Invitation.tenant_id == tenant_id, Invitation.id == invitation_id
    )
    return await session.scalar(statement.with_for_update())


async def invitation_for(session: AsyncSession, tenant_id: UUID, email: str) -> Invitation | None:
    """The invitation for an address, locked."""
    statement = select(Invitation).where(
        Invitation.tenant_id == tenant_id, Invitation.email == email
    )
    return await session.scalar(statement.with_for_update())


async def invitation_by_token(session: AsyncSession, token_hash: str) -> Row[UUID, UUID] | None:
    """Id and tenant of the invitation with this token."""
    statement = select(Invitation.id, Invitation.tenant_id).where(
        Invitation.token_hash == token_hash
    )
    return (await session.execute(statement)).one_or_none()


async def count_invitations(session: AsyncSession, tenant_id: UUID) -> int:
    """How many invitations a tenant has."""
    statement = (
        select(func.count()).select_from(Invitation).where(Invitation.tenant_id == tenant_id)
    )
    return await session.scalar(statement) or 0


async def deleted_before(session: AsyncSession, instant: datetime) -> list[UUID]:
    """Tenants that were deleted by that time."""
    statement = select(Tenant.id).where(Tenant.deleted_at <= instant).order_by(Tenant.id)
    return list(await session.scalars(statement.limit(1000)))
