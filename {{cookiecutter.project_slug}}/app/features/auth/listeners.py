"""Reactions of sessions to changes of accounts."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import utc_now
from app.core.events import Listener
from app.features.auth import repository, sessions
from app.features.users.events import PasswordReplaced, UserDeactivated


async def end_sessions(session: AsyncSession, event: UserDeactivated | PasswordReplaced) -> None:
    """Revoke the sessions and mailed tokens of an account that was deactivated or got a new password."""
    await sessions.end_all(session, event.user_id)
    await repository.revoke_mailed_tokens(session, event.user_id, utc_now())


listeners = (Listener(UserDeactivated, end_sessions), Listener(PasswordReplaced, end_sessions))
