"""The current tenant. A tenant is a customer whose rows no other customer can see."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.carrying import EVERY, Carrier


@dataclass(frozen=True, slots=True)
class AllTenants:
    """Every tenant at once, and why; `all_tenants` in `app/core/db/tenancy` opens such a session."""

    reason: str


Scope = UUID | AllTenants | None
"""One tenant; all of them; or none, for the service's own rows."""

scope: ContextVar[Scope] = ContextVar("tenant_scope", default=None)
"""The scope of sessions opened from here on; a session keeps the one it was opened with."""


@contextmanager
def within(value: Scope) -> Generator[None]:
    """Open sessions in this scope, and assign new rows to its tenant."""
    token = scope.set(value)
    try:
        yield
    finally:
        scope.reset(token)


def current() -> UUID | None:
    """The current tenant, if there is one."""
    found = scope.get()
    return found if isinstance(found, UUID) else None


def label(session: AsyncSession | None = None) -> str:
    """The tenant's part of a key (of a cache, limit, lock or cursor) that tenants must not share."""
    found: Scope = getattr(session.sync_session, "scope", None) if session else None
    found = found or scope.get()
    return EVERY if isinstance(found, AllTenants) else str(found or "")


carrier = Carrier(
    variable=scope,
    begin=lambda _: None,
    resume=lambda run: run.tenant_id,
    describe=lambda value: {"tenant_id": str(value)} if isinstance(value, UUID) else {},
    partition=label,
)
"""It records nothing: a row of the job table is stamped with the tenant, like any other."""
