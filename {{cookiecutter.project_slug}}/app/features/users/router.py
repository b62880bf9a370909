"""Endpoints."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from sqlalchemy import Row

from app.core.conditions import CHANGED, KNOWN, ReadConditions, WriteConditions
from app.core.db.session import DatabaseDep, ReadSessionDep, SessionDep
from app.core.openapi import problems
from app.core.pagination import Found, Page
from app.core.routing import SERVICE, router as new_router
from app.core.security.access import Can, CurrentPrincipal
from app.features.idempotency import idempotent
from app.features.users import repository, roles as role_service, service
from app.features.users.deps import CurrentUser, RoleOr404, UserOr404
from app.features.users.models import Role, User
from app.features.users.permissions import RolePermission, UserPermission
from app.features.users.schemas import (
    NewRole,
    ProfileChange,
    RoleChange,
    RoleNames,
    RoleQuery,
    RoleRead,
    UserChange,
    UserQuery,
    UserRead,
)

users = new_router("/users", tag="users", about=SERVICE)
roles = new_router("/roles", tag="roles", about=SERVICE)

NO_USER = problems({404: "No such user"})
NO_ROLE = problems({404: "No such role"})
CONFLICT = problems({409: "It would leave no administrator, or the name is taken or in use"})


@users.get("/me")
async def read_me(principal: CurrentPrincipal, database: DatabaseDep) -> UserRead:
    """Get the caller's account."""
    return await service.own_account(database, principal)


@users.patch("/me", response_model=UserRead)
async def change_me(user: CurrentUser, session: SessionDep, wanted: ProfileChange) -> User:
    """Update the caller's account."""
    return await service.change_profile(session, user, wanted)


@users.delete("/me", status_code=204, responses=CONFLICT)
async def delete_me(principal: CurrentPrincipal, user: CurrentUser, session: SessionDep) -> None:
    """Delete the caller's account."""
    await service.delete(session, principal, user)


@users.get("", response_model=Page[UserRead], dependencies=[Can(UserPermission.READ)])
async def list_users(
    session: ReadSessionDep, query: Annotated[UserQuery, Depends(UserQuery.requested)]
) -> Found[User]:
    """List accounts, newest first by default."""
    return await repository.page(session, query)


@users.get(
    "/{user_id}",
    response_model=UserRead,
    dependencies=[Can(UserPermission.READ)],
    responses=NO_USER,
)
async def get_user(user: UserOr404) -> User:
    """Get an account."""
    return user


@users.patch(
    "/{user_id}",
    response_model=UserRead,
    dependencies=[Can(UserPermission.WRITE)],
    responses=NO_USER | CONFLICT,
)
async def change_user(
    principal: CurrentPrincipal, session: SessionDep, user: UserOr404, wanted: UserChange
) -> User:
    """Update an account. Deactivating it revokes its sessions immediately."""
    return await service.change(session, principal, user, wanted)


@users.put(
    "/{user_id}/roles",
    response_model=UserRead,
    dependencies=[Can(UserPermission.WRITE)],
    responses=NO_USER | CONFLICT,
)
async def assign_roles(
    principal: CurrentPrincipal, session: SessionDep, user: UserOr404, wanted: RoleNames
) -> User:
    """Replace the roles of an account."""
    return await service.assign_roles(session, principal, user, wanted.roles)


@users.delete(
    "/{user_id}",
    status_code=204,
    dependencies=[Can(UserPermission.WRITE)],
    responses=NO_USER | CONFLICT,
)
async def delete_user(principal: CurrentPrincipal, session: SessionDep, user: UserOr404) -> None:
    """Delete an account."""
    await service.delete(session, principal, user)


@roles.get("", response_model=Page[RoleRead], dependencies=[Can(RolePermission.READ)])
async def list_roles(
    database: DatabaseDep, query: Annotated[RoleQuery, Depends(RoleQuery.requested)]
) -> Found[Row[Any]]:
    """List roles, by name."""
    return await repository.roles_page(database, query)


@roles.post(
    "",
    status_code=201,
    response_model=RoleRead,
    dependencies=[Can(RolePermission.WRITE), idempotent],
    responses=CONFLICT,
)
async def create_role(principal: CurrentPrincipal, session: SessionDep, new: NewRole) -> Role:
    """Create a role. The caller must hold its permissions."""
    return await role_service.create(session, principal, new)


@roles.get(
    "/{role_id}",
    response_model=RoleRead,
    dependencies=[Can(RolePermission.READ)],
    responses=NO_ROLE | KNOWN,
)
async def get_role(role: RoleOr404, conditions: ReadConditions) -> Role:
    """Get a role."""
    return conditions.show(role)


@roles.patch(
    "/{role_id}",
    response_model=RoleRead,
    dependencies=[Can(RolePermission.WRITE)],
    responses=NO_ROLE | CONFLICT | CHANGED,
)
async def change_role(
    principal: CurrentPrincipal,
    session: SessionDep,
    role: RoleOr404,
    conditions: WriteConditions,
    wanted: RoleChange,
) -> Role:
    """Update a role."""
    changed = await role_service.change(session, principal, role, wanted, conditions.expected)
    return conditions.show(changed)


@roles.delete(
    "/{role_id}",
    status_code=204,
    dependencies=[Can(RolePermission.WRITE)],
    responses=NO_ROLE | CONFLICT | CHANGED,
)
async def delete_role(
    principal: CurrentPrincipal, session: SessionDep, role: RoleOr404, conditions: WriteConditions
) -> None:
    """Delete an unassigned role."""
    await role_service.delete(session, principal, role, conditions.expected)


router = APIRouter()
router.include_router(users)
router.include_router(roles)
