"""Authenticate a request by its access token."""

from collections.abc import Sequence
from typing import Any

from fastapi.security.utils import get_authorization_scheme_param
from sqlalchemy import Row
from starlette.requests import HTTPConnection

from app.core.db.base import utc_now
from app.core.security import tokens
from app.core.security.access import authenticated
from app.core.security.principal import Principal, Question, Scheme
from app.core.service import service_at
from app.features.auth import repository


async def ask(connection: HTTPConnection) -> Question | None:
    """One statement, so that what was revoked a moment ago is over now."""
    kind, token = get_authorization_scheme_param(connection.headers.get("Authorization"))
    if kind.lower() != "bearer":
        return None
    claims = tokens.read(service_at(connection), token)

    def answer(rows: Sequence[Row[Any]]) -> Principal:
        if not rows:
            raise tokens.InvalidToken
        return Principal(
            user_id=claims.user_id,
            session_id=claims.session_id,
            signed_in_at=rows[0].signed_in_at,
            permissions=frozenset(name for row in rows for name in row.permissions or ()),
            account=rows,
        )

    values = {"user_id": claims.user_id, "session_id": claims.session_id, "now": utc_now()}
    return Question(repository.AUTHENTICATION, values, answer)


scheme = Scheme(name=authenticated.scheme_name, described=authenticated, ask=ask)
