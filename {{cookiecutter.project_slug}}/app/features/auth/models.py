"""Tables."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db.base import Base
from app.core.db.types import ExactText


class AuthSession(Base):
    """A login on one device: a family of refresh tokens."""

    __tablename__ = "auth_sessions"
    __table_args__ = (
        Index("ix_auth_sessions_user_id", "user_id", "created_at"),
        Index("ix_auth_sessions_expires_at", "expires_at"),
    )
    from_primary = True

    user_id: Mapped[UUID] = mapped_column(
        ForeignKey("users.id", name="fk_auth_sessions_user_id", ondelete="CASCADE")
    )
    address: Mapped[str | None] = mapped_column(String(64))
    user_agent: Mapped[str] = mapped_column(String(200))
    last_used_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class RefreshToken(Base):
    """A refresh token of a session, good for one use; after that it only serves to detect theft."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        UniqueConstraint("token_hash", name="uq_refresh_tokens_token_hash"),
        Index("ix_refresh_tokens_session_id", "session_id"),
    )
    from_primary = True

    session_id: Mapped[UUID] = mapped_column(
        ForeignKey("auth_sessions.id", name="fk_refresh_tokens_session_id", ondelete="CASCADE")
    )
    token_hash: Mapped[str] = mapped_column(String(64))
    used_at: Mapped[datetime | None]
    repeated_at: Mapped[datetime | None]


class MailedToken(Base):
    """A token that was mailed to a user; only its hash is stored."""

    __tablename__ = "mailed_tokens"
    __table_args__ = (
        UniqueConstraint("token_hash", name="uq_mailed_tokens_token_hash"),
        Index("ix_mailed_tokens_user_id", "user_id", "purpose"),
        Index("ix_mailed_tokens_expires_at", "expires_at"),
    )
    from_primary = True

    user_id: Mapped[UUID] = mapped_column(
        ForeignKey("users.id", name="fk_mailed_tokens_user_id", ondelete="CASCADE")
    )
    purpose: Mapped[str] = mapped_column(String(32))
    token_hash: Mapped[str] = mapped_column(String(64))
    new_email: Mapped[str | None] = mapped_column(ExactText(320))
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
