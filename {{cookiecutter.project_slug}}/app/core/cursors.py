"""Cursors: opaque, signed, and bound to one list in one order with the same filters."""

import base64
import hmac
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json

from app.core.errors import Unprocessable

VERSION = 2
SIGNATURE_BYTES = 16

CURSOR: TypeAdapter[tuple[int, str, list[Any]]] = TypeAdapter(tuple[int, str, list[Any]])
"""Version, fingerprint of the query, and where the previous page ended."""


class InvalidCursor(Unprocessable):
    """The cursor was not issued by this service, or belongs to another list."""

    def __init__(self) -> None:
        super().__init__("The cursor is not valid for this list. Start again without one.")


def sign(fingerprint: str, place: Sequence[Any], key: str) -> str:
    """The cursor for the page after `place`, in the list with this fingerprint."""
    body = to_json([VERSION, fingerprint, place])
    return base64.urlsafe_b64encode(signature(body, key) + body).decode().rstrip("=")


def unsign(
    cursor: str, fingerprint: str, types: Sequence[TypeAdapter[Any]], keys: Sequence[str]
) -> tuple[Any, ...]:
    """Where the previous page ended, if the cursor is one of ours and of this list; its values have these types."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        given, body = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:]
        if not any(hmac.compare_digest(given, signature(body, key)) for key in keys):
            raise InvalidCursor
        version, found, place = CURSOR.validate_json(body)
        if (version, found) != (VERSION, fingerprint):
            raise InvalidCursor
        return tuple(kind.validate_python(key) for kind, key in zip(types, place, strict=True))
    except ValueError:
        raise InvalidCursor from None


def signature(body: bytes, key: str) -> bytes:
    """Proof that the cursor is ours."""
    return hmac.digest(key.encode(), b"cursor:" + body, "sha256")[:SIGNATURE_BYTES]
