"""Who may do what with which tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what with which tables."""

    role: str
    """The role that the service works under; empty when it works as its login."""
    login: str | None
    """Whom `DATABASE_URL` signs in as."""
    tables: Sequence[str]
    append_only: Mapping[str, int]
    """Those of the tables whose rows are added and never changed, and for how many days they are kept
    at least; 0 is for ever."""


class UnsafeLoginError(RuntimeError):
    """`DATABASE_URL` signs in as somebody whom no permission and no policy holds back."""


class MissingRoleError(Exception):
    """The role that the service works under does not exist, or its login may not take it."""


def refusal(table: str, days: int) -> str:
    """What the database says when such a row is to be changed, or deleted too early."""
    return f"rows of {table} are never changed, and {KEPT} {f'{days} days' if days else 'ever'}"


KEPT = "kept for"
