"""From an access token to whoever it stands for, and to the tenant that they work for."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import Request

from app.core import tenancy
from app.core.security import tokens
from app.core.security.access import Principal
from app.features.auth import authentication
from app.features.tenants import repository
from app.features.tenants.failures import ContradictoryTenants, TenantNotFound, TenantSuspended
from app.features.tenants.permissions import TENANT_ONLY, allows
from app.features.tenants.repository import Standing

SERVICE = frozenset({"auth", "users", "roles", "audit", "jobs", "tenants"})
"""Tags of endpoints that are about the service itself: they reach the rows of no tenant. All others
work for one, and so do these when their path names it."""


@dataclass(frozen=True, slots=True)
class Member(Principal):
    """Whoever has shown who they are, at work for a tenant."""

    tenant_id: UUID
    role: str

    def holds(self, permissions: set[str] | frozenset[str]) -> bool:
        """With the permissions of their role in the tenant, and those of the service but about tenants.

        Who runs the service is no owner of the tenants that they work for.
        """
        return all(
            allows(self.role, permission)
            or (permission not in TENANT_ONLY and Principal.holds(self, {permission}))
            for permission in permissions
        )


async def authenticate(request: Request, token: str | None) -> Principal:
    """The caller. Whatever is asked after this sees the rows of one tenant, or of none.

    A tenant that the caller does not work for does not exist for them.
    """
    about_service = "tenant_id" not in request.path_params and is_about_service(request)
    if about_service and asked_in_header(request) is None:
        return await authentication.authenticate(request, token)
    claims = tokens.read(request.state.settings, token)
    permissions = authentication.permissions_of(claims)
    statement = repository.with_standing(permissions, claims.user_id, asked_tenant(request))
    principal, row = await authentication.found(request, claims, statement)
    standing = open_to_members(repository.standing_in(row))
    if about_service:
        return principal
    tenancy.scope.set(standing.tenant_id)
    return Member(
        principal.user_id,
        principal.session_id,
        principal.permissions,
        standing.tenant_id,
        standing.role,
    )


def asked_in_header(request: Request) -> UUID | None:
    """The tenant that the header names."""
    return getattr(request.state, "asked_tenant", None)


def asked_tenant(request: Request) -> UUID | None:
    """The tenant that the request names, in its path or in its header."""
    in_header = asked_in_header(request)
    in_path = request.path_params.get("tenant_id")
    if in_path is None:
        return in_header
    try:
        named = UUID(in_path)
    except ValueError:
        raise TenantNotFound from None
    if in_header not in {None, named}:
        raise ContradictoryTenants
    return named


def is_about_service(request: Request) -> bool:
    """Whether the endpoint reaches the rows of no tenant."""
    return not SERVICE.isdisjoint(request.scope["route"].tags)


def open_to_members(standing: Standing | None) -> Standing:
    """The same, if the tenant can be worked for at present."""
    if standing is None or standing.deleted_at is not None:
        raise TenantNotFound
    if standing.suspended_at is not None:
        raise TenantSuspended
    return standing
