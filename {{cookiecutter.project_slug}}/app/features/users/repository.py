"""All SQL of users and roles."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from app.core.db.errors import DeletedMeanwhile
from app.core.db.session import Database
from app.core.listing import Listing
from app.core.pagination import Found, paginate
from app.features.users.models import Role, User, UserRole
from app.features.users.schemas import RoleQuery, UserQuery

ROLES = Listing(RoleQuery, Role)
ACCOUNT = (
    select(
        User.id,
        User.created_at,
        User.updated_at,
        User.email,
        User.full_name,
        User.is_active,
        User.email_verified_at,
        Role.name.label("role"),
        Role.permissions,
    )
    .select_from(User)
    .outerjoin(UserRole, UserRole.user_id == User.id)
    .outerjoin(Role, Role.id == UserRole.role_id)
    .where(User.id == bindparam("user_id"))
)
"""What is shown of the account `user_id`: one row for each of its roles, or one without a role."""


async def get(session: AsyncSession, user_id: UUID) -> User | None:
    """The account with this id, with its roles."""
    return await session.get(User, user_id, options=[selectinload(User.roles)])


async def by_email(session: AsyncSession, email: str) -> User | None:
    """The account with this address, with its roles."""
    statement = select(User).where(User.email == email).options(selectinload(User.roles))
    return await session.scalar(statement)


async def lock(session: AsyncSession, user_id: UUID) -> User | None:
    """The account, reread and locked until the commit.

    Lock order: the role `admin`, then accounts, then their tokens.
    """
    statement = select(User).where(User.id == user_id).with_for_update()
    return await session.scalar(statement, execution_options={"populate_existing": True})


async def any_user(session: AsyncSession) -> bool:
    """Whether there is an account."""
    return await session.scalar(select(User.id).limit(1)) is not None


async def credentials(session: AsyncSession, email: str) -> Row[UUID, str] | None:
    """Id and password hash of the account with this address."""
    statement = select(User.id, User.password_hash).where(User.email == email)
    return (await session.execute(statement)).one_or_none()


async def credentials_of(session: AsyncSession, user_id: UUID) -> Row[str, str] | None:
    """Address and password hash of the account with this id."""
    statement = select(User.email, User.password_hash).where(User.id == user_id)
    return (await session.execute(statement)).one_or_none()


async def page(session: AsyncSession, query: UserQuery) -> Found[User]:
    """Matching accounts, newest first by default."""
    wanted = query.model_dump(include={"email", "is_active"}, exclude_none=True)
    statement = select(User).filter_by(**wanted).options(selectinload(User.roles))
    if query.role is not None:
        statement = statement.where(User.roles.any(Role.name == query.role))
    return await paginate(session, statement, query)


async def role(session: AsyncSession, role_id: UUID) -> Role | None:
    """The role with this id."""
    return await session.get(Role, role_id)


async def reload(session: AsyncSession, user: User) -> None:
    """Reread what may have changed while waiting for a lock."""
    statement = select(User).where(User.id == user.id).options(selectinload(User.roles))
    if await session.scalar(statement, execution_options={"populate_existing": True}) is None:
        raise DeletedMeanwhile


async def roles_named(session: AsyncSession, names: Collection[str]) -> Sequence[Role]:
    """The roles with these names."""
    return (await session.scalars(select(Role).where(Role.name.in_(names)))).all()


async def role_for_update(session: AsyncSession, name: str) -> Role | None:
    """The role with this name, reread and locked until the commit."""
    statement = select(Role).where(Role.name == name).with_for_update()
    return await session.scalar(statement, execution_options={"populate_existing": True})


async def roles_page(reader: Database | AsyncSession, query: RoleQuery) -> Found[Row[Any]]:
    """Roles by name."""
    return await ROLES.page(reader, query)


async def count_active_with_role(session: AsyncSession, name: str) -> int:
    """How many active, verified users have this role."""
    statement = (
        select(func.count())
        .select_from(UserRole)
        .join(User, User.id == UserRole.user_id)
        .join(Role, Role.id == UserRole.role_id)
        .where(Role.name == name, User.is_active, User.email_verified_at.is_not(None))
    )
    return await session.scalar(statement) or 0


async def is_used(session: AsyncSession, role: Role) -> bool:
    """Whether any user has this role."""
    return bool(
        await session.scalar(select(UserRole.id).where(UserRole.role_id == role.id).limit(1))
    )
