"""Rules about roles."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.errors import refusing
from app.core.errors import Conflict, Forbidden, NotFound
from app.core.pagination import Found
from app.core.security.principal import EVERYTHING, Principal
from app.features.audit.service import record
from app.features.users import repository
from app.features.users.models import Role, User
from app.features.users.schemas import NewRole, RoleChange, RoleQuery

ADMIN, MEMBER = "admin", "member"


class RoleNotFound(NotFound):
    """No role has this id."""

    def __init__(self) -> None:
        super().__init__("There is no such role.")


class RoleNameTaken(Conflict):
    """A name belongs to one role."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is already a role named {name}.")


class RoleInUse(Conflict):
    """People still have the role."""

    def __init__(self) -> None:
        super().__init__("Somebody still has this role. Take it from them first.")


class BuiltInRole(Conflict):
    """The service relies on the role."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The role {name} is built in and cannot be changed that way.")


class Escalation(Forbidden):
    """Nobody grants, or takes from others, what they do not hold themselves."""

    def __init__(self) -> None:
        super().__init__("This concerns permissions that you do not hold yourself.")


class LastAdministrator(Conflict):
    """Somebody must be able to administer the service."""

    def __init__(self) -> None:
        super().__init__("This is the last active administrator.")


async def seed(session: AsyncSession, member_permissions: Sequence[str]) -> None:
    """Make the built-in roles that are missing, and give each of them what it was never given."""
    present = {role.name: role for role in await repository.roles_named(session, [ADMIN, MEMBER])}
    for name, description, permissions in [
        (ADMIN, "May do everything", [EVERYTHING]),
        (MEMBER, "Everybody who registers", list(member_permissions)),
    ]:
        role = present.get(name)
        if role is None:
            new = Role(name=name, description=description)
            new.permissions = new.seeded = permissions
            session.add(new)
        elif not set(permissions) <= set(role.seeded or ()):
            await give(session, role, permissions)
    await session.flush()


async def give(session: AsyncSession, role: Role, permissions: Sequence[str]) -> None:
    """Add those that the role was never given: what it had once, an administrator took away."""
    await session.refresh(role, with_for_update=True)
    seeded: Sequence[str] | None = role.seeded
    if seeded is None:  # made before that was recorded: whoever changed it may have taken any
        untouched = role.updated_at - role.created_at < timedelta(seconds=1)
        seeded = [] if untouched else permissions
    before = role.permissions
    new = [each for each in permissions if each not in {*seeded, *before}]
    role.permissions = [*before, *new]
    role.seeded = sorted({*seeded, *permissions})
    if new:
        change = {"before": {"permissions": before}, "after": {"permissions": role.permissions}}
        record(session, "role.changed", "role", role.id, **change)


def permissions_of(roles: Iterable[Role]) -> frozenset[str]:
    """What these roles allow together."""
    return frozenset(permission for role in roles for permission in role.permissions)


def demand_held(principal: Principal, permissions: Iterable[str]) -> None:
    """Refuse when the caller does not hold all of these."""
    if not principal.holds(frozenset(permissions)):
        raise Escalation


async def demand_another_admin(session: AsyncSession, user: User) -> None:
    """Refuse when `user` is the last active administrator; the role is locked until the commit."""
    await repository.role_for_update(session, ADMIN)
    await repository.reload(session, user)
    signs_in = user.is_active and user.email_verified_at is not None
    is_admin = signs_in and any(role.name == ADMIN for role in user.roles)
    if is_admin and await repository.count_active_with_role(session, ADMIN) <= 1:
        raise LastAdministrator


async def get(session: AsyncSession, role_id: UUID) -> Role:
    """One role."""
    role = await repository.role(session, role_id)
    if role is None:
        raise RoleNotFound
    return role


async def hold(session: AsyncSession, role: Role) -> None:
    """Read it as it is now, and lock it: it is not changed or deleted elsewhere until the commit."""
    if await repository.role_for_update(session, role.name) is None:
        raise RoleNotFound


async def page(session: AsyncSession, query: RoleQuery) -> Found[Role]:
    """One page of roles."""
    return await repository.roles_page(session, query)


async def create(session: AsyncSession, principal: Principal, new: NewRole) -> Role:
    """Add a role."""
    demand_held(principal, new.permissions)
    role = Role(**new.model_dump())
    session.add(role)
    with refusing("uq_roles_name", RoleNameTaken(new.name)):
        await session.flush()
    record(session, "role.created", "role", role.id, after=new.model_dump())
    return role


async def change(
    session: AsyncSession, principal: Principal, role: Role, wanted: RoleChange
) -> Role:
    """Change what a role allows, or how it is described."""
    await hold(session, role)
    changes = wanted.model_dump(exclude_none=True)
    before = {name: getattr(role, name) for name in changes}
    if "permissions" in changes:
        if role.name == ADMIN:
            raise BuiltInRole(role.name)
        demand_held(principal, {*role.permissions, *changes["permissions"]})
    for name, value in changes.items():
        setattr(role, name, value)
    record(session, "role.changed", "role", role.id, before=before, after=changes)
    await session.flush()
    return role


async def delete(session: AsyncSession, principal: Principal, role: Role) -> None:
    """Remove a role that nobody has."""
    if role.name in {ADMIN, MEMBER}:
        raise BuiltInRole(role.name)
    await hold(session, role)
    demand_held(principal, role.permissions)
    if await repository.is_used(session, role):
        raise RoleInUse
    record(session, "role.deleted", "role", role.id, before={"name": role.name})
    await session.delete(role)
    with refusing("fk_user_roles_role_id", RoleInUse()):
        await session.flush()
