"""Rules about roles."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.errors import refusing
from app.core.db.versions import Expected, require
from app.core.errors import Conflict, Forbidden, NotFound
from app.core.security.principal import EVERYTHING, Principal
from app.features import audit
from app.features.users import repository
from app.features.users.models import Role, User
from app.features.users.schemas import NewRole, RoleChange

ADMIN, MEMBER = "admin", "member"


class RoleNotFound(NotFound):
    """No role has this id."""

    def __init__(self) -> None:
        super().__init__("There is no such role.")


class RoleNameTaken(Conflict):
    """Another role has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is already a role named {name}.")


class RoleInUse(Conflict):
    """The role is still assigned to users."""

    def __init__(self) -> None:
        super().__init__("This role is still assigned to users. Remove it from them first.")


class BuiltInRole(Conflict):
    """The role is built in, and the service relies on it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The role {name} is built in and cannot be changed in this way.")


class Escalation(Forbidden):
    """The caller cannot grant or withdraw permissions that they do not hold."""

    def __init__(self) -> None:
        super().__init__("This involves permissions that you do not hold.")


class LastAdministrator(Conflict):
    """The service must always have an administrator."""

    def __init__(self) -> None:
        super().__init__("This is the last active administrator.")


async def seed(session: AsyncSession, member_permissions: Sequence[str]) -> None:
    """Create missing built-in roles, and grant each of them what it was never granted."""
    present = {role.name: role for role in await repository.roles_named(session, [ADMIN, MEMBER])}
    for name, description, permissions in [
        (ADMIN, "All permissions", [EVERYTHING]),
        (MEMBER, "Every registered user", list(member_permissions)),
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
    """Add permissions never granted before: an administrator has withdrawn the others."""
    await session.refresh(role, with_for_update=True)
    seeded: Sequence[str] | None = role.seeded
    if seeded is None:  # predates the record: a change since may have withdrawn any
        untouched = role.updated_at - role.created_at < timedelta(seconds=1)
        seeded = [] if untouched else permissions
    before = role.permissions
    new = [each for each in permissions if each not in {*seeded, *before}]
    role.permissions = [*before, *new]
    role.seeded = sorted({*seeded, *permissions})
    if new:
        change = {"before": {"permissions": before}, "after": {"permissions": role.permissions}}
        audit.record(session, "role.changed", "role", role.id, **change)


def permissions_of(roles: Iterable[Role]) -> frozenset[str]:
    """The union of the permissions of these roles."""
    return frozenset(permission for role in roles for permission in role.permissions)


def require_held(principal: Principal, permissions: Iterable[str]) -> None:
    """Require the caller to hold all of these."""
    if not principal.holds(frozenset(permissions)):
        raise Escalation


async def require_another_admin(session: AsyncSession, user: User) -> None:
    """Require an active administrator besides `user`; the role is locked until the commit."""
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
    """Reread the role, and lock it until the commit."""
    if await repository.role_for_update(session, role.name) is None:
        raise RoleNotFound


async def create(session: AsyncSession, principal: Principal, new: NewRole) -> Role:
    """Create a role."""
    require_held(principal, new.permissions)
    role = Role(**new.model_dump())
    session.add(role)
    with refusing("uq_roles_name", RoleNameTaken(new.name)):
        await session.flush()
    audit.record(session, "role.created", "role", role.id, after=new.model_dump())
    return role


async def change(
    session: AsyncSession,
    principal: Principal,
    role: Role,
    wanted: RoleChange,
    expected: Expected = None,
) -> Role:
    """Change the permissions or the description of a role."""
    await hold(session, role)
    require(role, expected)
    changes = wanted.model_dump(exclude_none=True)
    before = {name: getattr(role, name) for name in changes}
    if "permissions" in changes:
        if role.name == ADMIN:
            raise BuiltInRole(role.name)
        require_held(principal, {*role.permissions, *changes["permissions"]})
    for name, value in changes.items():
        setattr(role, name, value)
    audit.record(session, "role.changed", "role", role.id, before=before, after=changes)
    await session.flush()
    return role


async def delete(
    session: AsyncSession, principal: Principal, role: Role, expected: Expected = None
) -> None:
    """Delete an unassigned role."""
    if role.name in {ADMIN, MEMBER}:
        raise BuiltInRole(role.name)
    await hold(session, role)
    require(role, expected)
    require_held(principal, role.permissions)
    if await repository.is_used(session, role):
        raise RoleInUse
    audit.record(session, "role.deleted", "role", role.id, before={"name": role.name})
    await session.delete(role)
    with refusing("fk_user_roles_role_id", RoleInUse()):
        await session.flush()
