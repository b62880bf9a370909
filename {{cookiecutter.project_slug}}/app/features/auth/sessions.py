"""Rules about sessions: login, refresh, logout."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import digest
from uuid import UUID, uuid4

from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.context import actor
from app.core.db.base import utc_now
from app.core.db.session import Database, reading, unit_of_work
from app.core.security import passwords, tokens
from app.core.security.principal import Principal
from app.core.security.secrets import fingerprint, new_token
from app.core.service import Service, service_of, settings_of
from app.features import audit, limits, users
from app.features.auth import repository
from app.features.auth.failures import (
    InvalidRefreshToken,
    SessionNotFound,
    WrongCredentials,
)
from app.features.auth.models import AuthSession, RefreshToken
from app.features.auth.schemas import Tokens
from app.features.auth.settings import AuthSettings
from app.features.users.models import User
from app.features.users.schemas import Email


async def login(database: Database, email: str, password: str, user_agent: str) -> Tokens:
    """Start a session, given the password of a verified, active account.

    No connection is held during hashing, the slowest part; the account is read again afterwards,
    so that a password that was changed meanwhile is refused.
    """
    service, address = service_of(database), normal(email)
    await limits.attempt(service, limits.Attempt.LOGIN, address)
    async with reading(database) as session:
        user_id, password_hash = await users.credentials(session, address) or (None, None)
        used = await repository.addresses(session, user_id or uuid4())
    excess = await excess_of(service, address)
    valid, better_hash = await passwords.verify(password, password_hash)
    if excess and not (valid and is_familiar(used)):
        raise excess
    async with unit_of_work(database) as session:
        user = await users.lock(session, user_id) if user_id and valid else None
        if (
            user is None
            or user.password_hash != password_hash
            or user.email_verified_at is None
            or not user.is_active
        ):
            audit.record(session, "auth.login_failed", "user", user_id)
            raise WrongCredentials
        user.password_hash = better_hash or user.password_hash
        begun = await begin(session, user, user_agent)
    await limits.succeeded(service, address)
    return begun


async def excess_of(service: Service, address: str) -> limits.TooManyAttempts | None:
    """The refusal of an attempt at an account that is tried from many places."""
    try:
        await limits.attempt_anywhere(service, limits.Attempt.LOGIN, address)
    except limits.TooManyAttempts as excess:
        return excess
    return None


def is_familiar(used: Sequence[str | None]) -> bool:
    """Whether the caller's network is among those that the account has been used from.

    Only its owner learns so, with the right password: a refusal is the same for all others, and takes as long.
    """
    here = actor.get().address
    return here is not None and limits.network(here) in {limits.network(each) for each in used}


def normal(email: str) -> str:
    """The address as it is stored; empty if it is not an address."""
    try:
        return TypeAdapter[str](Email).validate_python(email.strip())
    except ValidationError:
        return ""


async def begin(session: AsyncSession, user: User, user_agent: str) -> Tokens:
    """Start a session for `user`."""
    now = utc_now()
    begun = AuthSession(
        user_id=user.id,
        address=actor.get().address,
        user_agent=user_agent[:200],
        last_used_at=now,
        expires_at=end_of(session, now, now),
    )
    session.add(begun)
    await session.flush()
    audit.record(session, "auth.logged_in", "session", begun.id, after={"user_id": user.id})
    return await hand_out(session, begun, new_token())


def end_of(session: AsyncSession, begun_at: datetime, now: datetime) -> datetime:
    """When a session ends that is not used again, and not later than its lifetime allows."""
    ours = settings_of(session, AuthSettings)
    return min(begun_at + ours.session_lifetime, now + ours.idle_lifetime)


async def hand_out(session: AsyncSession, begun: AuthSession, refresh_token: str) -> Tokens:
    """Store the new refresh token's hash, and return both tokens."""
    session.add(RefreshToken(session_id=begun.id, token_hash=fingerprint(refresh_token)))
    await session.flush()
    return answer(session, begun, refresh_token)


def answer(session: AsyncSession, begun: AuthSession, refresh_token: str) -> Tokens:
    """The token response of a session."""
    lifetime = settings_of(session, AuthSettings).access_token_lifetime
    claims = tokens.Claims(user_id=begun.user_id, session_id=begun.id)
    return Tokens(
        access_token=tokens.issue(service_of(session), claims, lifetime),
        refresh_token=refresh_token,
        expires_in=int(lifetime.total_seconds()),
    )


async def refresh(database: Database, token: str, arrived: datetime) -> Tokens:
    """Exchange a refresh token for new tokens; reuse ends the session."""
    await limits.attempt(service_of(database), limits.Attempt.TOKEN)
    async with unit_of_work(database) as session:
        return await exchange(session, token, arrived)


async def exchange(session: AsyncSession, token: str, arrived: datetime) -> Tokens:
    """The same, within a transaction.

    One repetition shortly afterwards is allowed, as the response may have been lost. A request that
    was already in flight when the token was used has lost no response, and is refused.
    """
    now, token_hash = utc_now(), fingerprint(token)
    session_id = await repository.session_of(session, token_hash)
    begun = await repository.live_session(session, session_id, now) if session_id else None
    presented = await repository.refresh_token(session, token_hash) if begun else None
    if begun is None or presented is None:
        raise InvalidRefreshToken
    begun.last_used_at, begun.expires_at = now, end_of(session, begun.created_at, now)
    next_token = successor(session, token)
    if presented.used_at is None:
        presented.used_at = now
        return await hand_out(session, begun, next_token)
    if await is_lost_answer(session, presented, next_token, arrived):
        presented.repeated_at = now
        return answer(session, begun, next_token)
    owner = begun.user_id
    await repository.revoke_sessions(session, owner, now, only=begun.id)
    audit.record(
        session, "auth.refresh_token_reused", "session", begun.id, after={"user_id": owner}
    )
    raise InvalidRefreshToken


def successor(session: AsyncSession, token: str) -> str:
    """The token that follows, computed with the service's key, so that a lost response can be repeated."""
    key = service_of(session).keys[0].encode()
    return digest(key, b"refresh:" + token.encode(), sha256).hex()


async def is_lost_answer(
    session: AsyncSession, presented: RefreshToken, next_token: str, arrived: datetime
) -> bool:
    """Whether this is the first repetition, within the grace period, with the new token unused."""
    grace = timedelta(seconds=settings_of(session, AuthSettings).refresh_grace_seconds)
    used_at = presented.used_at
    if used_at is None or presented.repeated_at or not used_at <= arrived <= used_at + grace:
        return False
    following = await repository.refresh_token(session, fingerprint(next_token))
    return following is not None and following.used_at is None


async def page(session: AsyncSession, principal: Principal) -> Sequence[AuthSession]:
    """The caller's sessions."""
    return await repository.sessions(session, principal.user_id, utc_now())


async def end(session: AsyncSession, principal: Principal, session_id: UUID | None) -> None:
    """Revoke one of the caller's sessions; a caller with an API key, say, has no current one."""
    if session_id is None:
        raise SessionNotFound
    ended = await repository.revoke_sessions(session, principal.user_id, utc_now(), only=session_id)
    if not ended:
        raise SessionNotFound
    audit.record(session, "auth.logged_out", "session", session_id)


async def end_all(session: AsyncSession, user_id: UUID) -> None:
    """Revoke every session of a user."""
    ended = await repository.revoke_sessions(session, user_id, utc_now())
    audit.record(session, "auth.logged_out_everywhere", "user", user_id, after={"sessions": ended})
