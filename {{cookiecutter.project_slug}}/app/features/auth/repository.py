"""All SQL about sessions and tokens."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, Select, Update, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import Base, utc_now
from app.features.auth.models import AuthSession, MailedToken, RefreshToken
from app.features.users.models import Role, User, UserRole


def live(now: datetime) -> Select[AuthSession]:
    """Sessions that have neither ended nor expired."""
    return select(AuthSession).where(AuthSession.revoked_at.is_(None), AuthSession.expires_at > now)


def permissions(session_id: UUID, user_id: UUID, now: datetime) -> Select[list[str]]:
    """One row for each role of an active user with a live session; none otherwise."""
    return (
        select(Role.permissions)
        .select_from(AuthSession)
        .join(User, User.id == AuthSession.user_id)
        .outerjoin(UserRole, UserRole.user_id == User.id)
        .outerjoin(Role, Role.id == UserRole.role_id)
        .where(
            AuthSession.id == session_id,
            AuthSession.user_id == user_id,
            AuthSession.revoked_at.is_(None),
            AuthSession.expires_at > now,
            User.is_active,
        )
    )


async def refresh_token(session: AsyncSession, token_hash: str) -> RefreshToken | None:
    """The refresh token with this hash, as it is now, locked."""
    statement = select(RefreshToken).where(RefreshToken.token_hash == token_hash)
    return await session.scalar(statement.with_for_update())


async def live_session(
    session: AsyncSession, session_id: UUID, now: datetime
) -> tuple[AuthSession, User] | None:
    """A live session and its active user, the session locked."""
    statement = (
        live(now)
        .add_columns(User)
        .join(User, User.id == AuthSession.user_id)
        .where(AuthSession.id == session_id, User.is_active)
        .with_for_update(of=AuthSession)
    )
    row = (await session.execute(statement)).one_or_none()
    return (row[0], row[1]) if row else None


async def sessions(session: AsyncSession, user_id: UUID, now: datetime) -> Sequence[AuthSession]:
    """The live sessions of a user, newest first, a hundred at most."""
    statement = live(now).where(AuthSession.user_id == user_id)
    newest = statement.order_by(AuthSession.created_at.desc(), AuthSession.id.desc()).limit(100)
    return (await session.scalars(newest)).all()


async def revoke_sessions(
    session: AsyncSession, user_id: UUID, now: datetime, *, only: UUID | None = None
) -> int:
    """End the sessions of a user, or one of them; how many that were."""
    statement = update(AuthSession).where(
        AuthSession.user_id == user_id, AuthSession.revoked_at.is_(None)
    )
    if only is not None:
        statement = statement.where(AuthSession.id == only)
    return await rows_of(session, statement.values(revoked_at=now, updated_at=now))


async def rows_of(session: AsyncSession, statement: Update) -> int:
    """How many rows a statement changed."""
    return cast("CursorResult[Any]", await session.execute(statement)).rowcount


async def mailed_token(
    session: AsyncSession, token_hash: str, now: datetime, *, for_update: bool = False
) -> MailedToken | None:
    """The unused, unexpired token with this hash; on demand as it is now, and locked."""
    statement = select(MailedToken).where(
        MailedToken.token_hash == token_hash,
        MailedToken.used_at.is_(None),
        MailedToken.expires_at > now,
    )
    if not for_update:
        return await session.scalar(statement)
    fresh = {"populate_existing": True}
    return await session.scalar(statement.with_for_update(), execution_options=fresh)


async def kill_mailed_tokens(
    session: AsyncSession, user_id: UUID, now: datetime, *purposes: str
) -> None:
    """Make the user's older tokens for these purposes, or for any, worthless."""
    statement = update(MailedToken).where(
        MailedToken.user_id == user_id, MailedToken.used_at.is_(None)
    )
    if purposes:
        statement = statement.where(MailedToken.purpose.in_(purposes))
    await session.execute(statement.values(used_at=now, updated_at=now))


def outlived(days: int) -> list[tuple[type[Base], ColumnElement[bool]]]:
    """Which sessions and mailed tokens expired longer ago than that."""
    before = utc_now() - timedelta(days=days)
    expired = select(AuthSession.id).where(AuthSession.expires_at < before)
    return [
        (RefreshToken, RefreshToken.session_id.in_(expired)),  # thousands of each session
        (AuthSession, AuthSession.expires_at < before),
        (MailedToken, MailedToken.expires_at < before),
    ]


async def pending_email_change(session: AsyncSession, user_id: UUID, new_email: str) -> int:
    """How many of the two confirmations are still missing; an expired one is missing for ever."""
    statement = select(MailedToken.id).where(
        MailedToken.user_id == user_id,
        MailedToken.new_email == new_email,
        MailedToken.used_at.is_(None),
    )
    return len((await session.scalars(statement)).all())
