"""All SQL of sessions and tokens."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, Row, Select, Update, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import Base, utc_now
from app.features import users
from app.features.auth.models import AuthSession, MailedToken, RefreshToken
from app.features.users.models import User


def live(now: datetime) -> Select[AuthSession]:
    """Sessions that are neither revoked nor expired."""
    return select(AuthSession).where(AuthSession.revoked_at.is_(None), AuthSession.expires_at > now)


AUTHENTICATION = (
    users.ACCOUNT.join(AuthSession, AuthSession.user_id == User.id)
    .where(
        AuthSession.id == bindparam("session_id"),
        AuthSession.revoked_at.is_(None),
        AuthSession.expires_at > bindparam("now"),
        User.is_active,
    )
    .add_columns(AuthSession.created_at.label("signed_in_at"))
)
"""One row for each role of an active user with a live session; none otherwise."""


async def session_of(session: AsyncSession, token_hash: str) -> UUID | None:
    """The session that the refresh token with this hash belongs to."""
    statement = select(RefreshToken.session_id).where(RefreshToken.token_hash == token_hash)
    return await session.scalar(statement)


async def live_session(
    session: AsyncSession, session_id: UUID, now: datetime
) -> AuthSession | None:
    """A live session, locked; uses of its tokens wait here, as do deletions."""
    return await session.scalar(live(now).where(AuthSession.id == session_id).with_for_update())


async def refresh_token(session: AsyncSession, token_hash: str) -> RefreshToken | None:
    """The refresh token of an active user with this hash."""
    statement = (
        select(RefreshToken)
        .join(AuthSession, AuthSession.id == RefreshToken.session_id)
        .join(User, User.id == AuthSession.user_id)
        .where(RefreshToken.token_hash == token_hash, User.is_active)
    )
    return await session.scalar(statement)


async def sessions(session: AsyncSession, user_id: UUID, now: datetime) -> Sequence[AuthSession]:
    """The live sessions of a user, newest first, at most a hundred."""
    statement = live(now).where(AuthSession.user_id == user_id)
    newest = statement.order_by(AuthSession.created_at.desc(), AuthSession.id.desc()).limit(100)
    return (await session.scalars(newest)).all()


async def revoke_sessions(
    session: AsyncSession, user_id: UUID, now: datetime, *, only: UUID | None = None
) -> int:
    """Revoke the sessions of a user, or one of them, and count them."""
    statement = update(AuthSession).where(
        AuthSession.user_id == user_id, AuthSession.revoked_at.is_(None)
    )
    if only is not None:
        statement = statement.where(AuthSession.id == only)
    return await rows_of(session, statement.values(revoked_at=now, updated_at=now))


async def addresses(session: AsyncSession, user_id: UUID) -> Sequence[str | None]:
    """The addresses from which the user has signed in lately."""
    newest = select(AuthSession.address).where(AuthSession.user_id == user_id)
    newest = newest.order_by(AuthSession.created_at.desc()).limit(100)
    return (await session.scalars(newest)).all()


async def rows_of(session: AsyncSession, statement: Update) -> int:
    """The number of rows that a statement changed."""
    return cast("CursorResult[Any]", await session.execute(statement)).rowcount


def usable(token_hash: str, now: datetime) -> list[ColumnElement[bool]]:
    """The conditions under which a mailed token can be redeemed."""
    return [
        MailedToken.token_hash == token_hash,
        MailedToken.used_at.is_(None),
        MailedToken.expires_at > now,
    ]


async def mailed_token(
    session: AsyncSession, token_hash: str, now: datetime, *, for_update: bool = False
) -> MailedToken | None:
    """The unused, unexpired token with this hash; optionally reread and locked."""
    statement = select(MailedToken).where(*usable(token_hash, now))
    if not for_update:
        return await session.scalar(statement)
    fresh = {"populate_existing": True}
    return await session.scalar(statement.with_for_update(), execution_options=fresh)


async def holder(
    session: AsyncSession, token_hash: str, purpose: str, now: datetime
) -> Row[str, str] | None:
    """Address and password hash of the account with this unused, unexpired token."""
    statement = (
        select(User.email, User.password_hash)
        .join(MailedToken, MailedToken.user_id == User.id)
        .where(MailedToken.purpose == purpose, *usable(token_hash, now))
    )
    return (await session.execute(statement)).one_or_none()


async def revoke_mailed_tokens(
    session: AsyncSession, user_id: UUID, now: datetime, *purposes: str
) -> None:
    """Revoke the user's older tokens for these purposes, or for any."""
    statement = update(MailedToken).where(
        MailedToken.user_id == user_id, MailedToken.used_at.is_(None)
    )
    if purposes:
        statement = statement.where(MailedToken.purpose.in_(purposes))
    await session.execute(statement.values(used_at=now, updated_at=now))


def outlived(days: int) -> list[tuple[type[Base], ColumnElement[bool]]]:
    """Sessions and mailed tokens that expired before the retention period."""
    before = utc_now() - timedelta(days=days)
    expired = select(AuthSession.id).where(AuthSession.expires_at < before)
    return [
        (RefreshToken, RefreshToken.session_id.in_(expired)),  # a session has thousands
        (AuthSession, AuthSession.expires_at < before),
        (MailedToken, MailedToken.expires_at < before),
    ]


async def pending_email_change(session: AsyncSession, user_id: UUID, new_email: str) -> int:
    """How many of the two confirmations are outstanding; an expired one stays so."""
    statement = select(MailedToken.id).where(
        MailedToken.user_id == user_id,
        MailedToken.new_email == new_email,
        MailedToken.used_at.is_(None),
    )
    return len((await session.scalars(statement)).all())
