"""Who may do what with which tables."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what with which tables."""

    role: str
    """The role that the service works under; empty when it works as its login."""
    login: str | None
    """Whom `DATABASE_URL` signs in as."""
    tables: Sequence[str]
    append_only: Sequence[str]
    """Those of the tables whose rows are added, and never changed."""


class UnsafeLoginError(RuntimeError):
    """`DATABASE_URL` signs in as somebody whom no permission and no policy holds back."""


class MissingRoleError(Exception):
    """The role that the service works under does not exist, or its login may not take it."""


def purge_role(role: str) -> str:
    """The role that may delete what is otherwise only added."""
    return f"{role or 'app'}_purge"
