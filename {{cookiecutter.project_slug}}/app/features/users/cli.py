"""Commands."""

import asyncio
from typing import Annotated

from pydantic import TypeAdapter
from typer import Option, Typer, echo

from app.core.db.base import utc_now
from app.core.db.embedded import ensure_database
from app.core.db.session import connect, unit_of_work
from app.core.events import publish
from app.core.security import passwords
from app.core.settings import Settings, get_settings
from app.features.audit.service import record
from app.features.users import repository, roles, service
from app.features.users.events import PasswordReplaced
from app.features.users.schemas import Email

cli = Typer(name="users", no_args_is_help=True, help="Look after accounts.")


@cli.callback()
def about() -> None:
    """Look after accounts."""


@cli.command("create-admin")
def create_admin(
    email: Annotated[str, Option(prompt=True, help="The administrator's address.")],
    password: Annotated[
        str,
        Option(prompt=True, hide_input=True, confirmation_prompt=True, envvar="ADMIN_PASSWORD"),
    ],
) -> None:
    """Make an administrator, or an administrator of an existing account."""
    address: str = TypeAdapter(Email).validate_python(email)
    with ensure_database(get_settings()) as settings:
        asyncio.run(make_admin(settings, address, password))
    echo(f"{address} is an administrator.")


async def make_admin(settings: Settings, email: str, password: str) -> None:
    """The account, verified and with the role `admin`."""
    passwords.check(password, email)
    async with connect(settings, {}) as database, unit_of_work(database) as session:
        password_hash = await passwords.hash_password(password)
        admin = await repository.role_for_update(session, roles.ADMIN)
        if admin is None:
            raise RuntimeError("the built-in roles are missing: run `app db upgrade` first")
        user = await repository.by_email(session, email)
        if user is None:
            user = await service.add(session, email, password_hash, "", roles.ADMIN)
        else:
            user.roles = [*(role for role in user.roles if role is not admin), admin]
            user.password_hash = password_hash
            await publish(session, PasswordReplaced(user.id))
        record(session, "user.made_admin", "user", user.id)
        user.is_active = True
        user.email_verified_at = user.email_verified_at or utc_now()
