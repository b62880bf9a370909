"""The service's access to tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Access:
    """What the service may do with which tables."""

    role: str
    """The role that the service assumes; empty if it acts as its login."""
    login: str | None
    """The user in `DATABASE_URL`."""
    tables: Sequence[str]
    append_only: Mapping[str, int]
    """Tables whose rows are never changed, and for how many days they are kept at least; 0 is
    forever."""
    searched: Sequence[tuple[str, str]] = ()
    """Table and column of text that lists are filtered by parts of."""


class UnsafeLoginError(RuntimeError):
    """`DATABASE_URL` names an over-privileged login: no permission and no policy restricts it."""


class MissingRoleError(Exception):
    """The service's role does not exist, or its login may not assume it."""


def refusal(table: str, days: int) -> str:
    """The database's message when such a row is changed, or deleted too early."""
    return f"rows of {table} are never changed, and {KEPT} {f'{days} days' if days else 'ever'}"


KEPT = "kept for"
PARTS = "parts_of_"
"""How the names of indexes begin that `index_text` creates; no migration knows of them."""
