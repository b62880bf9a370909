"""Rules about invitations."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import utc_now
from app.core.db.errors import refusing
from app.core.db.session import Database, unit_of_work
from app.core.mail.outbox import send
from app.core.mail.redemption import Redemption
from app.core.mail.templates import MailTemplates
from app.core.security.principal import Principal
from app.core.security.secrets import fingerprint, new_token
from app.core.service import service_of, settings_of
from app.core.settings import Settings
from app.core.tenancy import within
from app.features import audit, limits
from app.features.tenants import repository
from app.features.tenants.authentication import Member
from app.features.tenants.failures import (
    AlreadyMember,
    InvalidInvitation,
    InvitationNotFound,
    TooMany,
)
from app.features.tenants.models import Invitation, Membership
from app.features.tenants.permissions import TenantPermission
from app.features.tenants.schemas import NewInvitation, TenantName
from app.features.tenants.service import lock_as_member
from app.features.tenants.settings import TenantSettings

ACCEPTANCE = Redemption(page="accept-invitation", path="/invitations/accept", signed_in=True)

templates = MailTemplates(Path(__file__).with_name("templates"))


async def invite(
    database: Database, settings: Settings, caller: Member, new: NewInvitation
) -> Invitation:
    """Mail an invitation, replacing an earlier one to the same address."""
    await limits.attempt_mail(service_of(database), "invite", new.email)
    async with unit_of_work(database) as session:
        return await add(session, settings, caller, new)


async def add(
    session: AsyncSession, settings: Settings, caller: Member, new: NewInvitation
) -> Invitation:
    """The same, within a transaction."""
    tenant, caller = await lock_as_member(session, caller, TenantPermission.WRITE)
    if await repository.has_member(session, tenant.id, new.email):
        raise AlreadyMember
    earlier = await repository.invitation_for(session, tenant.id, new.email)
    if earlier is not None:
        await session.delete(earlier)
        await session.flush()
    ours = settings_of(session, TenantSettings)
    most = ours.invitations
    if await repository.count_invitations(session, tenant.id) >= most:
        raise TooMany("open invitations", most)
    days, token = ours.invitation_days, new_token()
    invitation = Invitation(
        email=new.email,
        role=new.role,
        token_hash=fingerprint(token),
        expires_at=utc_now() + timedelta(days=days),
        invited_by=caller.user_id,
    )
    session.add(invitation)
    await session.flush()
    audit.record(session, "tenant.invited", "invitation", invitation.id, after=new.model_dump())
    mail = templates.render(
        "invitation",
        new.email,
        command=ACCEPTANCE.command(settings, token, new.email),
        link=ACCEPTANCE.link(settings, token),
        tenant=presentable(tenant.name),
        days=days,
    )
    await send(session, mail)
    return invitation


def presentable(name: str) -> str:
    """The name as shown to strangers; one that predates today's rules is withheld."""
    try:
        return TypeAdapter[str](TenantName).validate_python(name)
    except ValidationError:
        return "a team"


async def revoke(session: AsyncSession, caller: Member, invitation_id: UUID) -> None:
    """Revoke an invitation; a concurrent acceptance waits for the lock, and then fails."""
    tenant, _ = await lock_as_member(session, caller, TenantPermission.WRITE)
    invitation = await repository.invitation(session, tenant.id, invitation_id)
    if invitation is None:
        raise InvitationNotFound
    before = {"email": invitation.email}
    audit.record(session, "tenant.invitation_revoked", "invitation", invitation.id, before=before)
    await session.delete(invitation)
    await session.flush()


async def accept(session: AsyncSession, principal: Principal, token: str) -> Membership:
    """Accept an invitation with the token that was mailed to the caller's address."""
    seen = await repository.invitation_by_token(session, fingerprint(token))
    if seen is None:
        raise InvalidInvitation
    invitation_id, tenant_id = seen
    tenant = await repository.lock(session, tenant_id)
    invitation = await repository.invitation(session, tenant_id, invitation_id)
    email = await repository.email_of(session, principal.user_id)
    if (
        tenant is None
        or tenant.deleted_at is not None
        or tenant.suspended_at is not None
        or invitation is None
        or invitation.expires_at <= utc_now()
        or invitation.email != email
    ):
        raise InvalidInvitation
    with within(tenant_id):
        membership = Membership(user_id=principal.user_id, role=invitation.role, tenant=tenant)
        session.add(membership)
        joined = {"user_id": principal.user_id, "role": invitation.role}
        audit.record(session, "tenant.member_joined", "tenant", tenant_id, after=joined)
    await session.delete(invitation)
    with refusing("uq_memberships_tenant_id_user_id", InvalidInvitation()):
        await session.flush()
    return membership
