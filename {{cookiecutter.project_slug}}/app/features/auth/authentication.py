"""From an access token to whoever it stands for; asked at every request."""

from fastapi import Request

from app.core.db.base import utc_now
from app.core.db.session import reading
from app.core.security import tokens
from app.core.security.access import Principal
from app.features.auth import repository


async def authenticate(request: Request, token: str | None) -> Principal:
    """The caller; one statement, so that what was revoked a moment ago is over now."""
    claims = tokens.read(request.state.settings, token)
    async with reading(request.state.database) as session:
        rows = await repository.permissions(session, claims.session_id, claims.user_id, utc_now())
    if not rows:
        raise tokens.InvalidToken
    permissions = frozenset(name for row in rows for name in row[0] or ())
    return Principal(claims.user_id, claims.session_id, permissions)
