"""Who may call an endpoint: every one says `Can(...)`, `signed_in` or `public`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request, Security
from fastapi.security import OAuth2PasswordBearer, SecurityScopes

from app.core import (
    context,
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenancy,
    # {% endif %}
)
from app.core.errors import Forbidden
from app.core.routing import API_PREFIX

EVERYTHING = "*"
LOGIN = f"{API_PREFIX}/auth/login"


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever has shown who they are."""

    user_id: UUID
    session_id: UUID
    permissions: frozenset[str]

    def holds(self, permissions: set[str] | frozenset[str]) -> bool:
        """Whether all of these are among the caller's."""
        return EVERYTHING in self.permissions or permissions <= self.permissions


Authenticate = Callable[[Request, str | None], Awaitable[Principal]]


class NotAllowed(Forbidden):
    """The caller lacks a permission."""

    def __init__(self, missing: str) -> None:
        super().__init__(f"This needs the permission {missing}.")


bearer = OAuth2PasswordBearer(
    LOGIN,
    description="Sign in with e-mail address and password, and leave everything else as it is.",
    auto_error=False,
)


async def authenticated(
    request: Request,
    needed: SecurityScopes,
    token: Annotated[str | None, Depends(bearer)],
    # {% if cookiecutter.multi_tenancy == "row" %}
    asked: tenancy.AskedTenant,
    # {% endif %}
) -> Principal:
    """The caller, who holds every permission that the endpoint names."""
    principal = getattr(request.state, "principal", None)
    if principal is None:
        principal = await request.state.authenticate(request, token)
        request.state.principal = principal
        who = context.actor.get()
        context.actor.set(replace(who, user_id=principal.user_id, session_id=principal.session_id))
    for permission in needed.scopes:
        if not principal.holds({permission}):
            raise NotAllowed(permission)
    return principal


async def anyone() -> None:
    """Nothing is asked of the caller."""


def Can(permission: StrEnum) -> Any:  # noqa: ANN401, N802, reads as a sentence: `Can(X.WRITE)`
    """Only for callers who hold `permission`; for an endpoint's `dependencies`."""
    return Security(authenticated, scopes=[permission.value])


CurrentPrincipal = Annotated[Principal, Security(authenticated)]
signed_in = Security(authenticated)
public = Depends(anyone)
