"""Dependencies of endpoints."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends

from app.core.db.session import SessionDep
from app.core.security.access import CurrentPrincipal
from app.features.users import roles, service
from app.features.users.models import Role, User


# The principal comes before any session: authentication needs a connection for a moment, and a request
# that waits for one must not hold another.
async def current_user(principal: CurrentPrincipal, session: SessionDep) -> User:
    """The caller's account."""
    return await service.get(session, principal.user_id)


async def get_user(session: SessionDep, user_id: UUID) -> User:
    """The account that the path names."""
    return await service.get(session, user_id)


async def get_role(session: SessionDep, role_id: UUID) -> Role:
    """The role that the path names."""
    return await roles.get(session, role_id)


CurrentUser = Annotated[User, Depends(current_user, scope="function")]
UserOr404 = Annotated[User, Depends(get_user, scope="function")]
RoleOr404 = Annotated[Role, Depends(get_role, scope="function")]
