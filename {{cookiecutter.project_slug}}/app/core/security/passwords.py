"""Passwords: strength rules, and hashing (Argon2id, through passlib)."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Protocol, cast

from passlib.context import CryptContext

from app.core.errors import Unprocessable

SHORTEST, LONGEST = 8, 1024  # characters; NIST SP 800-63B, and no hashing of megabytes
COMMON = frozenset(
    Path(__file__).with_name("common_passwords.txt").read_text(encoding="utf-8").split()
)

UNUSABLE = ""
"""A stored hash that no password matches."""


class Context(Protocol):
    """The part of passlib's untyped `CryptContext` that is used."""

    def hash(self, secret: str) -> str: ...
    def verify_and_update(self, secret: str, hash: str) -> tuple[bool, str | None]: ...  # noqa: A002
    def update(self, **options: object) -> None: ...


# bcrypt only to verify hashes of an older system, which are replaced at the next login.
context = cast("Context", CryptContext(schemes=["argon2", "bcrypt"], deprecated="auto"))

# Each hash takes a core and 64 MiB: more at once would only slow all of them down.
hashers = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="password")


class WeakPassword(Unprocessable):
    """The password is easy to guess."""


def check(password: str, email: str) -> None:
    """Refuse a password that is too short or long, common, or the address itself."""
    folded = password.casefold()
    if not SHORTEST <= len(password) <= LONGEST:
        raise WeakPassword(f"A password must have {SHORTEST} to {LONGEST} characters.")
    if folded in {email.casefold(), email.casefold().split("@")[0]}:
        raise WeakPassword("The password must not be the email address.")
    if folded in COMMON or folded.rstrip("0123456789!.?*#$") in COMMON or len(set(folded)) < 4:  # noqa: PLR2004
        raise WeakPassword("This password is too easy to guess.")


async def hash_password(password: str) -> str:
    """The hash to store; computed off the event loop."""
    return await asyncio.get_running_loop().run_in_executor(hashers, context.hash, password)


async def verify(password: str, stored: str | None) -> tuple[bool, str | None]:
    """Whether the password is correct, and a new hash if the stored one is outdated.

    Without a stored hash, the result is false, in the same time.
    """
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(hashers, _verify, password, stored)


def _verify(password: str, stored: str | None) -> tuple[bool, str | None]:
    try:
        valid, better = context.verify_and_update(password, stored or dummy_hash())
    except ValueError:  # bcrypt, for a password beyond 72 bytes
        return False, None
    return (valid, better) if stored else (False, None)


@cache
def dummy_hash() -> str:
    """A hash that matches no password, to spend the same time on unknown addresses."""
    return context.hash(os.urandom(16).hex())
