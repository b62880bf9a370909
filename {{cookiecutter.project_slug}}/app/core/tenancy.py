"""For which tenant the work at hand is done. A tenant is a customer whose rows nobody else sees."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.carrying import Carrier


@dataclass(frozen=True, slots=True)
class AllTenants:
    """Every tenant at once, and why; `all_tenants` in `app/core/db/tenancy` opens such a session."""

    reason: str


Scope = UUID | AllTenants | None
"""One tenant; all of them; or none, for what the service does for itself."""

scope: ContextVar[Scope] = ContextVar("tenant_scope", default=None)
"""The scope of every session that is opened from here on; a session keeps the one it began with."""


@contextmanager
def within(value: Scope) -> Generator[None]:
    """Open sessions for this tenant, and give their rows to it."""
    token = scope.set(value)
    try:
        yield
    finally:
        scope.reset(token)


def current() -> UUID | None:
    """The tenant, if there is one."""
    found = scope.get()
    return found if isinstance(found, UUID) else None


def label(session: AsyncSession | None = None) -> str:
    """What to put into a key (of a cache, a limit, a lock, a cursor) that tenants must not share."""
    found: Scope = getattr(session.sync_session, "scope", None) if session else None
    return str(found if isinstance(found, UUID) else current() or "")


carrier = Carrier(
    variable=scope,
    begin=lambda _: None,
    resume=lambda run: run.tenant_id,
    describe=lambda value: {"tenant_id": str(value)} if isinstance(value, UUID) else {},
    partition=label,
)
"""A row of the job table is stamped with the tenant, as every other is."""
