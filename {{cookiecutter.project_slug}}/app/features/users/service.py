"""Rules about accounts."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import utc_now
from app.core.db.errors import refusing
from app.core.db.session import Database
from app.core.errors import Conflict, NotFound, Unprocessable
from app.core.security import passwords
from app.core.security.access import require_recent_sign_in
from app.core.security.principal import Principal
from app.core.service import publish
from app.features import audit
from app.features.users import repository, roles
from app.features.users.events import UserCreated, UserDeactivated, UserDeleted
from app.features.users.models import User
from app.features.users.schemas import ProfileChange, RoleReference, UserChange, UserRead


class UserNotFound(NotFound):
    """No account has this id."""

    def __init__(self) -> None:
        super().__init__("There is no such user.")


class EmailTaken(Conflict):
    """Another account has this address; strangers never learn that."""

    def __init__(self) -> None:
        super().__init__("There is already an account with this address.")


class UnknownRoles(Unprocessable):
    """There are no roles with these names."""

    def __init__(self, names: set[str]) -> None:
        super().__init__(f"There is no role named {', '.join(sorted(names))}.")


async def get(session: AsyncSession, user_id: UUID) -> User:
    """One account."""
    user = await repository.get(session, user_id)
    if user is None:
        raise UserNotFound
    return user


async def own_account(database: Database, principal: Principal) -> UserRead:
    """The caller's account, which authentication has usually read."""
    values = {"user_id": principal.user_id}
    rows = principal.account or await database.rows(repository.ACCOUNT, values)
    if not rows:
        raise UserNotFound
    roles = sorted(row.role for row in rows if row.role)
    told = {name: getattr(rows[0], name) for name in UserRead.model_fields.keys() - {"roles"}}
    return UserRead(**told, roles=[RoleReference(name=name) for name in roles])


async def add(
    session: AsyncSession, email: str, password_hash: str, full_name: str, *role_names: str
) -> User:
    """Add a new account."""
    user = User(email=email, password_hash=password_hash, full_name=full_name)
    user.roles = list(await repository.roles_named(session, role_names))
    session.add(user)
    with refusing("uq_users_email", EmailTaken()):
        await session.flush()
    audit.record(session, "user.created", "user", user.id, after={"roles": list(role_names)})
    await publish(session, UserCreated(user_id=user.id))
    return user


async def create(
    session: AsyncSession, email: str, password: str, full_name: str, role_names: list[str]
) -> User:
    """Create a verified account, on behalf of an operator."""
    passwords.check(password, email)
    known = {role.name for role in await repository.roles_named(session, role_names)}
    if unknown := set(role_names) - known:
        raise UnknownRoles(unknown)
    password_hash = await passwords.hash_password(password)
    user = await add(session, email, password_hash, full_name, *role_names)
    user.email_verified_at = utc_now()
    return user


async def change_profile(session: AsyncSession, user: User, wanted: ProfileChange) -> User:
    """Change the caller's own account."""
    before = {"full_name": user.full_name}
    user.full_name = wanted.full_name
    audit.record(session, "user.changed", "user", user.id, before=before, after=wanted.model_dump())
    await session.flush()
    return user


async def change(
    session: AsyncSession, principal: Principal, user: User, wanted: UserChange
) -> User:
    """Change, deactivate or reactivate an account, as an administrator."""
    roles.require_held(principal, roles.permissions_of(user.roles))
    changes = wanted.model_dump(exclude_none=True)
    before = {name: getattr(user, name) for name in changes}
    if changes.get("is_active") is False:
        await roles.require_another_admin(session, user)
        await publish(session, UserDeactivated(user_id=user.id))
    for name, value in changes.items():
        setattr(user, name, value)
    audit.record(session, "user.changed", "user", user.id, before=before, after=changes)
    await session.flush()
    return user


async def assign_roles(
    session: AsyncSession, principal: Principal, user: User, names: list[str]
) -> User:
    """Replace the roles of an account."""
    await repository.role_for_update(session, roles.ADMIN)
    await repository.lock(session, user.id)
    await repository.reload(session, user)
    wanted = list(await repository.roles_named(session, names))
    if unknown := set(names) - {role.name for role in wanted}:
        raise UnknownRoles(unknown)
    roles.require_held(principal, roles.permissions_of([*user.roles, *wanted]))
    if roles.ADMIN not in names:
        await roles.require_another_admin(session, user)
    before = {"roles": [role.name for role in user.roles]}
    user.roles = sorted(wanted, key=lambda role: role.name)
    audit.record(
        session, "user.roles_assigned", "user", user.id, before=before, after={"roles": names}
    )
    await session.flush()
    return user


async def delete(session: AsyncSession, principal: Principal, user: User) -> None:
    """Delete an account: the caller's own, or another one with the permission."""
    if user.id == principal.user_id:
        require_recent_sign_in(session, principal)
    else:
        roles.require_held(principal, roles.permissions_of(user.roles))
    await roles.require_another_admin(session, user)
    await publish(session, UserDeleted(user_id=user.id))
    audit.record(session, "user.deleted", "user", user.id)
    await session.delete(user)
    await session.flush()
