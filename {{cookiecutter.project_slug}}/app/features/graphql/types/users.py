"""Users and their roles."""

from typing import Any, ClassVar, Self

import strawberry
from sqlalchemy.orm import selectinload
from strawberry import relay

from app.core.routing import SERVICE
from app.core.security.access import Can, signed_in
from app.features.graphql.context import Context, Info
from app.features.graphql.fields import field
from app.features.graphql.nodes import Identified, name_of, one, uuid_of
from app.features.graphql.pages import connection
from app.features.graphql.repository import rows_by
from app.features.graphql.schemas import accepts, checked, expected, filters, shows, valid
from app.features.users import models, repository, roles as role_service, schemas, service
from app.features.users.permissions import RolePermission, UserPermission

read_users, write_users = Can(UserPermission.READ), Can(UserPermission.WRITE)
read_roles, write_roles = Can(RolePermission.READ), Can(RolePermission.WRITE)


@shows(schemas.RoleRead)
class Role(Identified):
    access: ClassVar[Any] = read_roles
    get = role_service.get


@shows(schemas.UserRead, without=["roles"])
class User(Identified):
    access: ClassVar[Any] = read_users
    get = service.get

    role_names: list[str]

    @classmethod
    def of(cls, row: Any, **more: Any) -> Self:  # noqa: ANN401, as in `Shown`
        """The account as the schema shows it, with the names of its roles."""
        return super().of(row, role_names=[role.name for role in row.roles], **more)

    @field(read_roles, SERVICE)
    async def roles(self, info: Info) -> list[Role]:
        """The user's roles."""
        found = await info.context.loader(roles_named).load_many(self.role_names)
        return [Role.of(role) for role in found if role]


async def roles_named(context: Context, names: list[str]) -> list[models.Role | None]:
    """The roles with these names."""
    async with context.reading() as session:
        return await rows_by(session, models.Role.name, names)


async def users_with(context: Context, ids: list[Any]) -> list[models.User | None]:
    """The accounts with these ids."""
    async with context.reading() as session:
        return await rows_by(session, models.User.id, ids, selectinload(models.User.roles))


@filters(schemas.UserQuery)
class UserFilter: ...


@accepts(schemas.ProfileChange)
class ProfileChange: ...


@accepts(schemas.UserChange)
class UserChange: ...


@accepts(schemas.NewRole)
class NewRole: ...


@accepts(schemas.RoleChange)
class RoleChange: ...


@strawberry.type
class Query:
    @field(signed_in, SERVICE)
    async def me(self, info: Info) -> User:
        """Get the caller's account."""
        context = info.context
        return User.of(await service.own_account(context.service.database, context.principal))

    user = one(User, "Get an account.")
    users = connection(
        User,
        schemas.UserQuery,
        repository.page,
        access=read_users,
        about=SERVICE,
        filters=UserFilter,
        description="List accounts, newest first by default.",
    )
    role = one(Role, "Get a role.")
    roles = connection(
        Role,
        schemas.RoleQuery,
        repository.roles_page,
        access=read_roles,
        about=SERVICE,
        description="List roles, by name.",
    )


@strawberry.type
class Mutation:
    @field(signed_in, SERVICE)
    async def update_me(self, info: Info, input: ProfileChange) -> User:
        """Update the caller's account."""
        wanted = checked(schemas.ProfileChange, input)
        async with info.context.unit_of_work() as session:
            user = await service.get(session, info.context.principal.user_id)
            return User.of(await service.change_profile(session, user, wanted))

    @field(signed_in, SERVICE)
    async def delete_me(self, info: Info) -> relay.GlobalID:
        """Delete the caller's account."""
        principal = info.context.principal
        async with info.context.unit_of_work() as session:
            user = await service.get(session, principal.user_id)
            await service.delete(session, principal, user)
        return relay.GlobalID(name_of(User), str(user.id))

    @field(write_users, SERVICE)
    async def update_user(self, info: Info, id: relay.GlobalID, input: UserChange) -> User:
        """Update an account. Deactivating it revokes its sessions immediately."""
        wanted = checked(schemas.UserChange, input)
        async with info.context.unit_of_work() as session:
            user = await service.get(session, uuid_of(User, id))
            return User.of(await service.change(session, info.context.principal, user, wanted))

    @field(write_users, SERVICE)
    async def assign_roles(self, info: Info, id: relay.GlobalID, roles: list[str]) -> User:
        """Replace the roles of an account."""
        names = valid(schemas.RoleNames, {"roles": roles}).roles
        async with info.context.unit_of_work() as session:
            user = await service.get(session, uuid_of(User, id))
            return User.of(await service.assign_roles(session, info.context.principal, user, names))

    @field(write_users, SERVICE)
    async def delete_user(self, info: Info, id: relay.GlobalID) -> relay.GlobalID:
        """Delete an account."""
        async with info.context.unit_of_work() as session:
            user = await service.get(session, uuid_of(User, id))
            await service.delete(session, info.context.principal, user)
        return id

    @field(write_roles, SERVICE)
    async def create_role(self, info: Info, input: NewRole) -> Role:
        """Create a role. The caller must hold its permissions."""
        new = checked(schemas.NewRole, input)
        async with info.context.unit_of_work() as session:
            return Role.of(await role_service.create(session, info.context.principal, new))

    @field(write_roles, SERVICE)
    async def update_role(
        self, info: Info, id: relay.GlobalID, input: RoleChange, if_version: int | None = None
    ) -> Role:
        """Update a role, if it has this version."""
        wanted, principal = checked(schemas.RoleChange, input), info.context.principal
        async with info.context.unit_of_work() as session:
            role = await role_service.get(session, uuid_of(Role, id))
            version = expected(if_version)
            return Role.of(await role_service.change(session, principal, role, wanted, version))

    @field(write_roles, SERVICE)
    async def delete_role(
        self, info: Info, id: relay.GlobalID, if_version: int | None = None
    ) -> relay.GlobalID:
        """Delete an unassigned role, if it has this version."""
        async with info.context.unit_of_work() as session:
            role = await role_service.get(session, uuid_of(Role, id))
            version = expected(if_version)
            await role_service.delete(session, info.context.principal, role, version)
        return id
