"""Authenticate a request by its access token."""

from typing import Any

from fastapi import Request
from sqlalchemy import Row, Select

from app.core.db.base import utc_now
from app.core.db.session import reading
from app.core.security import tokens
from app.core.security.access import Principal
from app.core.security.tokens import Claims
from app.features.auth import repository


async def authenticate(request: Request, token: str | None) -> Principal:
    """The caller, read in one statement on every request, so that revocation takes effect at once."""
    claims = tokens.read(request.state.settings, token)
    return (await found(request, claims, permissions_of(claims)))[0]


def permissions_of(claims: Claims) -> Select[list[str]]:
    """The statement to run; other features add columns to learn more about the caller."""
    return repository.permissions(claims.session_id, claims.user_id, utc_now())


async def found(
    request: Request, claims: Claims, statement: Select[Any]
) -> tuple[Principal, Row[Any]]:
    """The caller, and the added columns."""
    async with reading(request.state.database) as session:
        rows = (await session.execute(statement)).all()
    if not rows:
        raise tokens.InvalidToken
    permissions = frozenset(name for row in rows for name in row[0] or ())
    return Principal(claims.user_id, claims.session_id, permissions), rows[0]
