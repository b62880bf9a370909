"""Tables."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.core.db.base import Base
from app.core.db.types import ExactText
from app.core.db.versions import Versioned


class Role(Versioned, Base):
    """A named set of permissions; `*` stands for all."""

    __tablename__ = "roles"
    __table_args__ = (UniqueConstraint("name", name="uq_roles_name"),)
    from_primary = True

    name: Mapped[str] = mapped_column(ExactText(64))
    description: Mapped[str] = mapped_column(String(200), default="")
    permissions: Mapped[list[str]]
    seeded: Mapped[list[str] | None]
    """Which of them the service has granted to a built-in role; each is granted once."""


class User(Base):
    """A user account."""

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("email", name="uq_users_email"),
        Index("ix_users_created_at", "created_at", "id"),
    )
    from_primary = True

    email: Mapped[str] = mapped_column(ExactText(320))
    full_name: Mapped[str] = mapped_column(String(200), default="")
    password_hash: Mapped[str] = mapped_column(String(255))
    is_active: Mapped[bool] = mapped_column(default=True)
    email_verified_at: Mapped[datetime | None]

    roles: Mapped[list[Role]] = relationship(secondary="user_roles", order_by=Role.name)


class UserRole(Base):
    """The assignment of a role to a user."""

    __tablename__ = "user_roles"
    __table_args__ = (
        UniqueConstraint("user_id", "role_id", name="uq_user_roles_user_id_role_id"),
        Index("ix_user_roles_role_id", "role_id"),
    )
    from_primary = True

    user_id: Mapped[UUID] = mapped_column(
        ForeignKey("users.id", name="fk_user_roles_user_id", ondelete="CASCADE")
    )
    role_id: Mapped[UUID] = mapped_column(
        ForeignKey("roles.id", name="fk_user_roles_role_id", ondelete="RESTRICT")
    )
