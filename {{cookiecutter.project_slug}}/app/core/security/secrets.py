"""Random tokens that are handed out once and kept only as hashes."""

import hashlib
import secrets


def new_token() -> str:
    """32 random bytes, as text that fits into a link."""
    return secrets.token_urlsafe(32)


def fingerprint(token: str) -> str:
    """What is stored; a random token needs no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()
