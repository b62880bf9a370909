"""Random tokens that are shown once and stored only as hashes."""

import hashlib
import secrets


def new_token() -> str:
    """32 random bytes, URL-safe."""
    return secrets.token_urlsafe(32)


def fingerprint(token: str) -> str:
    """The stored hash; a random token needs no slow one."""
    return hashlib.sha256(token.encode()).hexdigest()
