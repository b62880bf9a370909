"""Access tokens: short-lived JWTs (RFC 7519), with the checks of RFC 8725 and the type of RFC 9068."""

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from uuid import UUID, uuid4

import jwt

from app.core.db.base import utc_now
from app.core.errors import Unauthorized
from app.core.service import Service

ALGORITHM = "HS256"
TYPE = "at+jwt"
REQUIRED = ["iss", "aud", "sub", "sid", "jti", "iat", "exp"]
LONGEST = 4096  # characters; anything longer is not even parsed
REMEMBERED = 2048
"""How many tokens need not be verified again when a caller repeats them."""


class InvalidToken(Unauthorized):
    """The token was issued elsewhere, is of another type, was tampered with, or has expired."""

    def __init__(self) -> None:
        super().__init__("The access token is missing, invalid or expired. Sign in again.")


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a token."""

    user_id: UUID
    session_id: UUID


def issue(service: Service, claims: Claims, lifetime: timedelta) -> str:
    """Issue a signed token."""
    now = utc_now()
    payload = {
        "iss": service.settings.issuer,
        "aud": service.settings.audience,
        "sub": str(claims.user_id),
        "sid": str(claims.session_id),
        "jti": uuid4().hex,
        "iat": now,
        "exp": now + lifetime,
    }
    return jwt.encode(payload, service.keys[0], algorithm=ALGORITHM, headers={"typ": TYPE})


def read(service: Service, token: str | None) -> Claims:
    """The claims of a valid token; raise `InvalidToken` for any other."""
    if not token or len(token) > LONGEST:
        raise InvalidToken
    for key in service.keys:
        try:
            claims, expires = verified(
                token, key, service.settings.issuer, service.settings.audience
            )
        except jwt.InvalidSignatureError:
            continue
        except (jwt.InvalidTokenError, ValueError):
            break
        if expires <= utc_now().timestamp():
            break
        return claims
    raise InvalidToken


@lru_cache(maxsize=REMEMBERED)
def verified(token: str, key: str, issuer: str, audience: str) -> tuple[Claims, int]:
    """The claims of a token, and when it expires: the only part of the answer that changes with time."""
    decoded = jwt.decode_complete(
        token,
        key,
        algorithms=[ALGORITHM],
        issuer=issuer,
        audience=audience,
        options={"require": REQUIRED, "strict_aud": True, "enforce_minimum_key_length": True},
    )
    if decoded["header"].get("typ") != TYPE:  # the library has no check of its own
        raise InvalidToken
    payload = decoded["payload"]
    # As text, whatever the type: a list then is a `ValueError`.
    claims = Claims(user_id=UUID(str(payload["sub"])), session_id=UUID(str(payload["sid"])))
    return claims, int(payload["exp"])
