"""What happens to sessions when something happens to accounts."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import utc_now
from app.core.events import Listener
from app.features.auth import repository, sessions
from app.features.users.events import PasswordReplaced, UserDeactivated


async def end_sessions(session: AsyncSession, event: UserDeactivated | PasswordReplaced) -> None:
    """Who is switched off, or has another password, is signed out; no mailed token works any more."""
    await sessions.end_all(session, event.user_id)
    await repository.kill_mailed_tokens(session, event.user_id, utc_now())


listeners = (Listener(UserDeactivated, end_sessions), Listener(PasswordReplaced, end_sessions))
