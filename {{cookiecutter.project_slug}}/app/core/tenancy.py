"""For which tenant the work at hand is done. A tenant is a customer whose rows nobody else sees."""

from collections.abc import Generator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header, Request
from pydantic import BaseModel, WithJsonSchema
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import Unprocessable

HEADER = "X-Tenant-ID"


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


def add_to_log(
    logger: object, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Say in a line whom it is about."""
    if (tenant := current()) is not None:
        event["tenant_id"] = str(tenant)
    return event


class OfTenant(BaseModel):
    """Shows which tenant something is about, if it is about one."""

    tenant_id: UUID | None


class InvalidTenant(Unprocessable):
    """What the header says is no id."""

    def __init__(self) -> None:
        super().__init__(f"{HEADER} is not the id of a tenant.")


async def ask(
    request: Request,
    asked: Annotated[
        str | None,
        WithJsonSchema({"type": "string", "format": "uuid"}),
        Header(
            alias=HEADER,
            description="For which tenant, by default your own; no other than the path names",
        ),
    ] = None,
) -> UUID | None:
    """The tenant that a request names in its header; whether it may is decided with who is calling.

    A value that is no id is refused here, at once: FastAPI would first call what else an endpoint asks for.
    """
    try:
        request.state.asked_tenant = UUID(asked) if asked is not None else None
    except ValueError:
        raise InvalidTenant from None
    return request.state.asked_tenant


AskedTenant = Annotated[UUID | None, Depends(ask)]
