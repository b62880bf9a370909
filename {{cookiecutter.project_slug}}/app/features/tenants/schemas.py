"""Requests and responses."""

import re
import unicodedata
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AliasPath, AwareDatetime, Field, StringConstraints

from app.core.carriers import RecordRead
from app.core.pagination import ListQuery, SortableBy
from app.core.schemas import NOT_BLANK, Input, Line, Output, Stored
from app.features.audit.schemas import AuditQuery
from app.features.tenants.models import Invitation, Membership, Tenant, TenantRole
from app.features.users.schemas import Email

# An address of a page or a mailbox, or the number of a telephone.
LINK = re.compile(r"://|[^\W_][.。][^\W\d_]{2}|(?<!\w)(?:\d[ ()./-]*){9,}(?!\w)")


def refuse_link(name: str) -> str:
    """Strangers get the name by mail, with an invitation, and mail programs make links by themselves."""
    visible = "".join(each for each in name if unicodedata.category(each) != "Cf")
    if LINK.search(unicodedata.normalize("NFKC", visible)):
        raise ValueError(
            "must not look like a link, an e-mail address or a telephone number: put a space"
            " after each dot, and leave long numbers out"
        )
    return name


TenantName = Annotated[
    Line, StringConstraints(max_length=200), NOT_BLANK, AfterValidator(refuse_link)
]
Token = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,128}$"),
    Field(examples=["kRL2dXbVbXkTZ9mPVsmW6cJqTY0ZqI7d3lR5uXG1n8E"]),
]


class NewTenant(Input):
    """A tenant to be made."""

    name: TenantName = Field(examples=["Acme Ltd"])


class TenantQuery(ListQuery):
    """Which of all tenants to list."""

    sort: Annotated[str, SortableBy(Tenant.created_at, Tenant.name)] = "-created_at"


class TenantRead(Stored):
    """A tenant."""

    name: str
    personal_user_id: UUID | None = Field(description="Whose own tenant it is, if anybody's")
    suspended_at: AwareDatetime | None
    deleted_at: AwareDatetime | None = Field(description="Out of reach since then; purged later")


class MembershipQuery(ListQuery):
    """Which of one's own tenants to list."""

    sort: Annotated[str, SortableBy(Membership.created_at)] = "created_at"


class MembershipRead(Output):
    """A tenant that one works for."""

    role: TenantRole
    created_at: AwareDatetime
    tenant: TenantRead


class MemberQuery(ListQuery):
    """Which members to list."""

    sort: Annotated[str, SortableBy(Membership.created_at)] = "created_at"


class MemberRead(Output):
    """Somebody who works for the tenant."""

    user_id: UUID
    email: str = Field(validation_alias=AliasPath("user", "email"))
    full_name: str = Field(validation_alias=AliasPath("user", "full_name"))
    role: TenantRole
    created_at: AwareDatetime


class RoleChange(Input):
    """Another role for a member."""

    role: TenantRole


class Transfer(Input):
    """Who is to own the tenant."""

    user_id: UUID


class NewInvitation(Input):
    """Somebody to be invited."""

    email: Email
    role: Literal[TenantRole.ADMIN, TenantRole.MEMBER] = TenantRole.MEMBER


class InvitationQuery(ListQuery):
    """Which invitations to list."""

    sort: Annotated[str, SortableBy(Invitation.created_at)] = "-created_at"


class InvitationRead(Stored):
    """An invitation; its token is in the mail only."""

    email: str
    role: TenantRole
    expires_at: AwareDatetime
    invited_by: UUID | None


class TenantEventQuery(AuditQuery):
    """Which events of a tenant to list."""


class TenantEventRead(RecordRead):
    """Something that was done; from where is not shown, as the people who run the service act too."""

    action: str
    object_type: str
    object_id: UUID | None
    actor_id: UUID | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class Acceptance(Input):
    """The token from the mail."""

    token: Token
