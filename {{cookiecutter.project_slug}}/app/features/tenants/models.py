"""Tables."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.core.db.base import Base
from app.core.db.tenancy import TenantTagged
from app.core.db.tenancy.rows import TENANTS
from app.core.db.types import ExactText
from app.features.users.models import User


class TenantRole(StrEnum):
    """The role of a member in a tenant."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"


class Tenant(Base):
    """A customer: a company, a team, or one person."""

    __tablename__ = TENANTS
    __table_args__ = (
        UniqueConstraint("personal_user_id", name="uq_tenants_personal_user_id"),
        Index("ix_tenants_created_at", "created_at", "id"),
        Index("ix_tenants_name", "name", "id"),
        Index("ix_tenants_deleted_at", "deleted_at"),
    )

    name: Mapped[str] = mapped_column(String(200))
    personal_user_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("users.id", name="fk_tenants_personal_user_id", ondelete="SET NULL")
    )
    """The user whose personal tenant this is: their default when a request names none."""
    suspended_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    """When it was deleted; it is purged after the grace period."""


class Membership(TenantTagged, Base):
    """The membership of a user in a tenant."""

    __tablename__ = "memberships"
    __table_args__ = (
        UniqueConstraint("tenant_id", "user_id", name="uq_memberships_tenant_id_user_id"),
        Index("ix_memberships_user_id", "user_id", "created_at", "id"),
    )
    from_primary = True

    tenant_id: Mapped[UUID] = mapped_column(  # pyright: ignore[reportIncompatibleVariableOverride]
        ForeignKey("tenants.id", name="fk_memberships_tenant_id", ondelete="CASCADE")
    )
    user_id: Mapped[UUID] = mapped_column(
        ForeignKey("users.id", name="fk_memberships_user_id", ondelete="CASCADE")
    )
    role: Mapped[str] = mapped_column(String(16))

    tenant: Mapped[Tenant] = relationship()
    user: Mapped[User] = relationship()


class Invitation(TenantTagged, Base):
    """An invitation to become a member, accepted with the mailed token."""

    __tablename__ = "invitations"
    __table_args__ = (
        UniqueConstraint("tenant_id", "email", name="uq_invitations_tenant_id_email"),
        UniqueConstraint("token_hash", name="uq_invitations_token_hash"),
        Index("ix_invitations_expires_at", "expires_at"),
        Index("ix_invitations_invited_by", "invited_by"),
    )
    from_primary = True

    tenant_id: Mapped[UUID] = mapped_column(  # pyright: ignore[reportIncompatibleVariableOverride]
        ForeignKey("tenants.id", name="fk_invitations_tenant_id", ondelete="CASCADE")
    )
    email: Mapped[str] = mapped_column(ExactText(320))
    role: Mapped[str] = mapped_column(String(16))
    token_hash: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime]
    invited_by: Mapped[UUID | None] = mapped_column(
        ForeignKey("users.id", name="fk_invitations_invited_by", ondelete="SET NULL")
    )
