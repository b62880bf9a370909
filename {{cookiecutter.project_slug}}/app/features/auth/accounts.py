"""Rules about passwords and mailed tokens."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import utc_now
from app.core.db.errors import refusing
from app.core.db.session import Database, reading, unit_of_work
from app.core.mail.outbox import send
from app.core.mail.redemption import Redemption
from app.core.mail.templates import MailTemplates
from app.core.security import passwords
from app.core.security.principal import Principal
from app.core.security.secrets import fingerprint, new_token
from app.core.service import service_of, settings_of
from app.core.settings import Settings
from app.features import audit, limits, users
from app.features.auth import repository, sessions
from app.features.auth.failures import InvalidMailedToken, WrongCredentials
from app.features.auth.models import MailedToken
from app.features.auth.schemas import EmailChange, PasswordChange, PasswordReset
from app.features.auth.settings import AuthSettings
from app.features.users.models import User
from app.features.users.roles import MEMBER

VERIFY, RESET, CHANGE_FROM, CHANGE_TO = "verify", "reset", "change_from", "change_to"
CONFIRMATION = Redemption(page="confirm-email", path="/auth/confirm-email")
REDEMPTIONS = {
    VERIFY: Redemption(page="verify-email", path="/auth/verify-email", takes_password=True),
    RESET: Redemption(page="reset-password", path="/auth/reset-password", takes_password=True),
    CHANGE_FROM: CONFIRMATION,
    CHANGE_TO: CONFIRMATION,
}

templates = MailTemplates(Path(__file__).with_name("templates"))


async def register(
    session: AsyncSession, settings: Settings, email: str, password_hash: str, full_name: str
) -> None:
    """Create an account, or remind its owner that it exists.

    Registering an address that is not verified yet replaces the earlier attempt: it may have been
    a stranger's.
    """
    lifetime = timedelta(hours=settings_of(session, AuthSettings).verification_hours)
    user = await owner(session, email)
    if user is not None and user.email_verified_at is not None:
        await remind(session, settings, email)
        return
    if user is None:
        user = await users.add(session, email, password_hash, full_name, MEMBER)
    user.password_hash, user.full_name = password_hash, full_name
    await mail_token(session, settings, user, VERIFY, lifetime)


async def owner(session: AsyncSession, email: str) -> User | None:
    """The account with this address, locked."""
    found = await users.by_email(session, email)
    return await users.lock(session, found.id) if found else None


async def remind(session: AsyncSession, settings: Settings, email: str) -> None:
    """Remind the owner of an address that it has an account."""
    await send(session, templates.render("already_registered", email, url=settings.public_url))


async def mail_token(
    session: AsyncSession,
    settings: Settings,
    user: User,
    purpose: str,
    lifetime: timedelta,
    *,
    new_email: str | None = None,
    instead: Callable[[AsyncSession, Settings, str], Awaitable[None]] | None = None,
) -> None:
    """Mail a new token and revoke older ones for the same purpose.

    With `instead` another mail is sent, and the token is never disclosed.
    """
    now = utc_now()
    await repository.revoke_mailed_tokens(session, user.id, now, purpose)
    token = new_token()
    session.add(
        MailedToken(
            user_id=user.id,
            purpose=purpose,
            token_hash=fingerprint(token),
            new_email=new_email,
            expires_at=now + lifetime,
        )
    )
    await session.flush()
    to = new_email if purpose == CHANGE_TO and new_email else user.email
    if instead is not None:
        await instead(session, settings, to)
        return
    hours = f"{lifetime / timedelta(hours=1):g}"
    redemption = REDEMPTIONS[purpose]
    mail = templates.render(
        purpose,
        to,
        command=redemption.command(settings, token, to),
        link=redemption.link(settings, token),
        token=token,
        hours=hours,
        new=new_email,
    )
    await send(session, mail)


async def redeem(session: AsyncSession, token: str, *purposes: str) -> tuple[MailedToken, User]:
    """Redeem a mailed token; its account is locked first, as everywhere."""
    now, token_hash = utc_now(), fingerprint(token)
    seen = await repository.mailed_token(session, token_hash, now)
    user = await users.lock(session, seen.user_id) if seen else None
    found = await repository.mailed_token(session, token_hash, now, for_update=True)
    if found is None or user is None or not user.is_active or found.purpose not in purposes:
        raise InvalidMailedToken
    found.used_at = now
    return found, user


async def holder(database: Database, token: str, purpose: str) -> Row[str, str]:
    """Address and password hash of the account behind a mailed token; `redeem` checks again."""
    await limits.attempt(service_of(database), limits.Attempt.TOKEN)
    async with reading(database) as session:
        found = await repository.holder(session, fingerprint(token), purpose, utc_now())
    if found is None:
        raise InvalidMailedToken
    return found


async def verify_email(database: Database, token: str, password: str) -> None:
    """Verify the address: the caller has read its mail and knows the password.

    With the token alone, a click by the owner would activate an account that a stranger registered
    with the owner's address.
    """
    _, checked = await holder(database, token, VERIFY)
    valid, _ = await passwords.verify(password, checked)
    async with unit_of_work(database) as session:
        _, user = await redeem(session, token, VERIFY)
        if not valid or user.password_hash != checked:
            raise InvalidMailedToken
        user.email_verified_at = utc_now()
        audit.record(session, "auth.email_verified", "user", user.id)


async def forgot_password(session: AsyncSession, settings: Settings, email: str) -> None:
    """Mail a password-reset token, if the account exists."""
    lifetime = timedelta(minutes=settings_of(session, AuthSettings).reset_minutes)
    user = await owner(session, email)
    if user is not None and user.is_active:
        await mail_token(session, settings, user, RESET, lifetime)
        audit.record(session, "auth.password_reset_requested", "user", user.id)


async def reset_password(database: Database, wanted: PasswordReset) -> None:
    """Set a new password with a mailed token, which also verifies the address."""
    email, _ = await holder(database, wanted.token, RESET)
    password_hash = await hash_strong(wanted.password, email)
    async with unit_of_work(database) as session:
        _, user = await redeem(session, wanted.token, RESET)
        await set_password(session, user, password_hash)
        user.email_verified_at = user.email_verified_at or utc_now()


async def change_password(database: Database, principal: Principal, wanted: PasswordChange) -> None:
    """Change the password, given the current one."""
    email, checked = await right(database, principal.user_id, wanted.current_password)
    password_hash = await hash_strong(wanted.new_password, email) if checked else ""
    async with unit_of_work(database) as session:
        user = await require_password(session, principal.user_id, checked)
        await set_password(session, user, password_hash)


async def right(database: Database, user_id: UUID, password: str) -> tuple[str, str | None]:
    """The account's address and password hash, if the password is right."""
    service, account = service_of(database), str(user_id)
    await limits.attempt(service, limits.Attempt.LOGIN, account)
    await limits.attempt_anywhere(service, limits.Attempt.LOGIN, account)
    async with reading(database) as session:
        email, stored = await users.credentials_of(session, user_id) or ("", None)
    valid, _ = await passwords.verify(password, stored)
    if valid:
        await limits.succeeded(service, account)
    return email, stored if valid else None


async def require_password(session: AsyncSession, user_id: UUID, checked: str | None) -> User:
    """The account, locked; refuse a caller who has only an access token and not the password.

    A password that was replaced during the check no longer counts.
    """
    user = await users.lock(session, user_id)
    if user is None or not user.is_active or user.password_hash != checked:
        audit.record(session, "auth.login_failed", "user", user_id)
        raise WrongCredentials
    return user


async def hash_strong(password: str, email: str) -> str:
    """The hash of a new password; hashing is slow, so no session is open meanwhile."""
    passwords.check(password, email)
    return await passwords.hash_password(password)


async def set_password(session: AsyncSession, user: User, password_hash: str) -> None:
    """Store a new password, and revoke all sessions and mailed tokens."""
    user.password_hash = password_hash
    await repository.revoke_mailed_tokens(session, user.id, utc_now())
    await sessions.end_all(session, user.id)
    audit.record(session, "auth.password_changed", "user", user.id)
    await send(session, templates.render("password_changed", user.email))


async def change_email(
    database: Database, settings: Settings, principal: Principal, wanted: EmailChange
) -> None:
    """Mail a token to the old and the new address; a taken address only gets a reminder."""
    _, checked = await right(database, principal.user_id, wanted.password)
    if checked:
        await limits.attempt_mail(service_of(database), "change", wanted.new_email)
    async with unit_of_work(database) as session:
        lifetime = timedelta(hours=settings_of(session, AuthSettings).verification_hours)
        user = await require_password(session, principal.user_id, checked)
        taken = await users.by_email(session, wanted.new_email)
        for purpose in (CHANGE_FROM, CHANGE_TO):
            await mail_token(
                session,
                settings,
                user,
                purpose,
                lifetime,
                new_email=wanted.new_email,
                instead=remind if taken and purpose == CHANGE_TO else None,
            )


async def confirm_email(database: Database, token: str) -> None:
    """Confirm from one address; the second confirmation applies the change."""
    await limits.attempt(service_of(database), limits.Attempt.TOKEN)
    async with unit_of_work(database) as session:
        await confirm(session, token)


async def confirm(session: AsyncSession, token: str) -> None:
    """The same, within a transaction."""
    found, user = await redeem(session, token, CHANGE_FROM, CHANGE_TO)
    await session.flush()
    new_email = found.new_email
    if new_email is None or await users.by_email(session, new_email):
        raise InvalidMailedToken
    if await repository.pending_email_change(session, user.id, new_email):
        return
    before = {"email": user.email}
    user.email = new_email
    with refusing("uq_users_email", InvalidMailedToken()):
        await session.flush()
    await repository.revoke_mailed_tokens(session, user.id, utc_now())
    await sessions.end_all(session, user.id)
    audit.record(
        session, "auth.email_changed", "user", user.id, before=before, after={"email": new_email}
    )
