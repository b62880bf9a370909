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

# A URL, an email address or a telephone number.
LINK = re.compile(r"://|[^\W_][.。][^\W\d_]{2}|(?<!\w)(?:\d[ ()./-]*){9,}(?!\w)")


def refuse_link(name: str) -> str:
    """Refuse link-like names: invitations mail the name to strangers, and mail programs add links."""
    visible = "".join(each for each in name if unicodedata.category(each) != "Cf")
    if LINK.search(unicodedata.normalize("NFKC", visible)):
        raise ValueError(
            "must not look like a link, an email address or a telephone number: put a space"
            " after each dot, and avoid long numbers"
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
    """A tenant to create."""

    name: TenantName = Field(examples=["Acme Ltd"])


class TenantQuery(ListQuery):
    """Filters for all tenants."""

    sort: Annotated[str, SortableBy(Tenant.created_at, Tenant.name)] = "-created_at"


class TenantRead(Stored):
    """A tenant."""

    name: str
    personal_user_id: UUID | None = Field(
        description="The user whose personal tenant this is, if any"
    )
    suspended_at: AwareDatetime | None
    deleted_at: AwareDatetime | None = Field(
        description="Inaccessible since this time; purged after a grace period"
    )


class MembershipQuery(ListQuery):
    """Filters for the caller's tenants."""

    sort: Annotated[str, SortableBy(Membership.created_at)] = "created_at"


class MembershipRead(Output):
    """The caller's membership in a tenant."""

    role: TenantRole
    created_at: AwareDatetime
    tenant: TenantRead


class MemberQuery(ListQuery):
    """Filters for members."""

    sort: Annotated[str, SortableBy(Membership.created_at)] = "created_at"


class MemberRead(Output):
    """A member of the tenant."""

    user_id: UUID
    email: str = Field(validation_alias=AliasPath("user", "email"))
    full_name: str = Field(validation_alias=AliasPath("user", "full_name"))
    role: TenantRole
    created_at: AwareDatetime


class MemberChange(Input):
    """The new role of a member."""

    role: TenantRole


class Transfer(Input):
    """The member who is to own the tenant."""

    user_id: UUID


class NewInvitation(Input):
    """An invitation to create."""

    email: Email
    role: Literal[TenantRole.ADMIN, TenantRole.MEMBER] = TenantRole.MEMBER


class InvitationQuery(ListQuery):
    """Filters for invitations."""

    sort: Annotated[str, SortableBy(Invitation.created_at)] = "-created_at"


class InvitationRead(Stored):
    """An invitation; its token is in the mail only."""

    email: str
    role: TenantRole
    expires_at: AwareDatetime
    invited_by: UUID | None


class TenantEventQuery(AuditQuery):
    """Filters for audit events of a tenant."""


class TenantEventRead(RecordRead):
    """An audit event, without the client address: operators of the service act in tenants too."""

    action: str
    object_type: str
    object_id: UUID | None
    actor_id: UUID | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class Acceptance(Input):
    """The token from the mail."""

    token: Token
