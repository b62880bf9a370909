"""Command line."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated

from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession
from typer import BadParameter, Context, Option, Typer, echo

from app.core.commands import run
from app.core.db import migrations
from app.core.db.base import utc_now
from app.core.db.session import unit_of_work
from app.core.security import passwords
from app.core.service import Service, publish
from app.core.settings import Settings
from app.features import audit
from app.features.users import repository, roles, service as users
from app.features.users.events import PasswordReplaced
from app.features.users.schemas import Email, FullName

cli = Typer(name="users", no_args_is_help=True, help="Manage accounts.")


DEMO = "demo@example.com"


def email_address(value: str) -> str:
    """The address as it is stored."""
    return checked(TypeAdapter(Email), value.strip())


def full_name(value: str) -> str:
    """The name as it is stored."""
    return checked(TypeAdapter(FullName), value)


def checked(kind: TypeAdapter[str], value: str) -> str:
    """The value, if the API would accept it too."""
    try:
        return kind.validate_python(value)
    except ValidationError as invalid:
        raise BadParameter(invalid.errors()[0]["msg"]) from None


Address = Annotated[
    str,
    Option(
        "--email",
        prompt="Email address",
        parser=email_address,
        metavar="TEXT",
        help="Email address of the account.",
    ),
]


@asynccontextmanager
async def migrated(service: Service) -> AsyncGenerator[AsyncSession]:
    """A transaction on a migrated database."""
    async with unit_of_work(service.database) as session:
        await migrations.ahead(session)
        yield session


@cli.callback()
def about() -> None:
    """Manage accounts."""


@cli.command("create-admin")
def create_admin(
    context: Context,
    email: Address,
    password: Annotated[
        str,
        Option(prompt=True, hide_input=True, confirmation_prompt=True, envvar="ADMIN_PASSWORD"),
    ],
) -> None:
    """Create an administrator, or make an existing account one and reset its password."""
    run(context, lambda service: make_admin(service, email, password))
    echo(f"{email} is an administrator.")


async def make_admin(service: Service, email: str, password: str) -> None:
    """Create or update the account: verified, active and with the role `admin`."""
    passwords.check(password, email)
    async with migrated(service) as session:
        password_hash = await passwords.hash_password(password)
        admin = await repository.role_for_update(session, roles.ADMIN)
        if admin is None:
            raise RuntimeError("the built-in roles are missing: run `app db upgrade` first")
        user = await repository.by_email(session, email)
        if user is None:
            user = await users.add(session, email, password_hash, "", roles.ADMIN)
        else:
            user.roles = [*(role for role in user.roles if role is not admin), admin]
            user.password_hash = password_hash
            await publish(session, PasswordReplaced(user_id=user.id))
        audit.record(session, "user.made_admin", "user", user.id)
        user.is_active = True
        user.email_verified_at = user.email_verified_at or utc_now()


@cli.command()
def create(
    context: Context,
    email: Address,
    password: Annotated[
        str,
        Option(prompt=True, hide_input=True, confirmation_prompt=True, envvar="USER_PASSWORD"),
    ],
    role: Annotated[list[str] | None, Option(help="Can be repeated; `member` by default.")] = None,
    name: Annotated[str, Option("--full-name", parser=full_name, metavar="TEXT")] = "",
) -> None:
    """Create a verified account."""
    names = role or [roles.MEMBER]
    run(context, lambda service: create_user(service, email, password, name, names))
    echo(f"{email} can sign in.")


async def create_user(
    service: Service, email: str, password: str, name: str, role_names: list[str]
) -> None:
    """Create the account, in a transaction of its own."""
    async with migrated(service) as session:
        await users.create(session, email, password, name, role_names)


async def demo(session: AsyncSession, settings: Settings) -> str:
    """Create an administrator to explore with, if there are no accounts; the password is not stored."""
    if await repository.any_user(session):
        return ""
    password = secrets.token_hex(10)
    await users.create(session, DEMO, password, "Demo", [roles.ADMIN])
    return f"""
The database was empty, so an administrator was created to try things out with:

    username  {DEMO}
    password  {password}

Sign in under "Authorize" at {settings.service_url}/docs. The password is not shown again; to set another, run
uv run app users create-admin --email {DEMO}

"""
