"""Encryption of job arguments in the database, such as mails that contain tokens."""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from app.core.jobs import UnreadableArguments

SEALED = "sealed"


def cipher(keys: Sequence[str]) -> MultiFernet:
    """Encrypts with the first key, and decrypts with any of them."""
    derived = (hmac.digest(key.encode(), b"job arguments", hashlib.sha256) for key in keys)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in derived])


def seal(keys: Sequence[str], arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments as they are stored."""
    return {SEALED: cipher(keys).encrypt(json.dumps(arguments).encode()).decode()}


def unseal(keys: Sequence[str], stored: dict[str, Any]) -> dict[str, Any]:
    """The arguments, decrypted."""
    try:
        return json.loads(cipher(keys).decrypt(stored[SEALED]))
    except InvalidToken:
        raise UnreadableArguments(
            "the arguments were encrypted with another SECRET_KEY: set it as PREVIOUS_SECRET_KEY"
        ) from None
