"""A step of authentication: find the tenant that the caller acts in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from starlette.requests import HTTPConnection

from app.core import tenancy
from app.core.feature import RequestHeader
from app.core.routing import SERVICE, About, about_of
from app.core.security.principal import Principal, Question
from app.core.service import service_at
from app.features.tenants import repository
from app.features.tenants.failures import (
    ContradictoryTenants,
    InvalidTenant,
    TenantNotFound,
    TenantSuspended,
)
from app.features.tenants.permissions import TENANT_ONLY, granted_by
from app.features.tenants.repository import Standing

HEADER = RequestHeader(
    "X-Tenant-ID",
    "Tenant to act in, by default your personal one; must match the tenant in the path, if any",
    {"type": "string", "format": "uuid"},
)


@dataclass(frozen=True, slots=True)
class InPath(About):
    """Rows of the tenant that this path parameter names."""

    parameter: str


ONE_TENANT = InPath("customer", "tenant_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Member(Principal):
    """An authenticated caller who acts in a tenant."""

    tenant_id: UUID
    role: str
    granted: Mapping[str, frozenset[str]]
    """The permissions of each tenant role."""

    def subjects(self) -> Mapping[str, UUID]:
        """The user and the tenant."""
        return {**Principal.subjects(self), "tenant": self.tenant_id}

    def holds(self, permissions: set[str] | frozenset[str]) -> bool:
        """Whether the tenant role grants these, or a role of the service does, except on tenants.

        So operators of the service do not own tenants.
        """
        return all(
            permission in self.granted.get(self.role, ())
            or (permission not in TENANT_ONLY and Principal.holds(self, {permission}))
            for permission in permissions
        )


def narrow(connection: HTTPConnection, question: Question) -> Question:
    """Restrict what follows to the rows of one tenant, or of none.

    To a caller who is not a member, the tenant does not exist.
    """
    about, in_header = about_of(connection), asked_in_header(connection)
    if about is SERVICE and in_header is None:
        return question
    granted = granted_by(service_at(connection).features)

    def answer(rows: Sequence[Row[Any]]) -> Principal:
        principal = question.answer(rows)
        standing = open_to_members(repository.standing_in(rows[0]))
        if about is SERVICE:
            return principal
        tenancy.scope.set(standing.tenant_id)
        return member(principal, standing, granted)

    tenant_id = in_path(connection, about, in_header) if isinstance(about, InPath) else in_header
    statement = repository.with_standing(question.statement, named=tenant_id is not None)
    values = {**question.values, "named_tenant": tenant_id} if tenant_id else question.values
    return replace(question, statement=statement, values=values, answer=answer)


def member(
    principal: Principal, standing: Standing, granted: Mapping[str, frozenset[str]]
) -> Member:
    """The caller, as a member of the tenant."""
    return Member(
        user_id=principal.user_id,
        session_id=principal.session_id,
        signed_in_at=principal.signed_in_at,
        permissions=principal.permissions,
        account=principal.account,
        tenant_id=standing.tenant_id,
        role=standing.role,
        granted=granted,
    )


def asked_in_header(connection: HTTPConnection) -> UUID | None:
    """The tenant that the header names."""
    asked = connection.headers.get(HEADER.name)
    try:
        return UUID(asked) if asked is not None else None
    except ValueError:
        raise InvalidTenant from None


def in_path(connection: HTTPConnection, about: InPath, in_header: UUID | None) -> UUID:
    """The tenant that the path names."""
    try:
        named = UUID(connection.path_params[about.parameter])
    except ValueError:
        raise TenantNotFound from None
    if in_header not in {None, named}:
        raise ContradictoryTenants
    return named


def open_to_members(standing: Standing | None) -> Standing:
    """The same standing, if members may currently act in the tenant."""
    if standing is None or standing.deleted_at is not None:
        raise TenantNotFound
    if standing.suspended_at is not None:
        raise TenantSuspended
    return standing
