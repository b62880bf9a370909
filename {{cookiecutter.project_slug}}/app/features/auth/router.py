"""Endpoints."""

from collections.abc import Sequence
from uuid import UUID

from app.core.db.session import DatabaseDep, ReadSessionDep, SessionDep
from app.core.jobs.outbox import enqueue
from app.core.openapi import problems
from app.core.routing import SERVICE, router as new_router
from app.core.security.access import CurrentPrincipal, public
from app.core.settings import SettingsDep
from app.features.auth import accounts, jobs, sessions
from app.features.auth.deps import Arrived, LoginForm, UserAgent
from app.features.auth.models import AuthSession
from app.features.auth.schemas import (
    Accepted,
    EmailChange,
    EmailConfirmation,
    EmailVerification,
    PasswordChange,
    PasswordForgotten,
    PasswordReset,
    Refresh,
    Registration,
    SessionRead,
    Tokens,
)

router = new_router("/auth", tag="auth", about=SERVICE)

REFUSED = problems({401: "Wrong credentials, or a token that is not valid"})


@router.post("/register", status_code=202, dependencies=[public])
async def register(database: DatabaseDep, new: Registration) -> Accepted:
    """Make an account. The answer is the same, and as fast, whether the address was free or not."""
    await jobs.ask_to_register(database, new)
    return Accepted()


@router.post("/verify-email", status_code=204, dependencies=[public])
async def verify_email(database: DatabaseDep, wanted: EmailVerification) -> None:
    """Show that the address is yours, with the token from the mail and your password."""
    await accounts.verify_email(database, wanted.token, wanted.password)


@router.post("/login", dependencies=[public], responses=REFUSED)
async def login(database: DatabaseDep, form: LoginForm, user_agent: UserAgent = "") -> Tokens:
    """Sign in with e-mail address and password."""
    return await sessions.login(database, form.username, form.password, user_agent)


@router.post("/refresh", dependencies=[public], responses=REFUSED)
async def refresh(arrived: Arrived, session: SessionDep, wanted: Refresh) -> Tokens:
    """Exchange a refresh token for new tokens; each is good for one exchange."""
    return await sessions.refresh(session, wanted.refresh_token, arrived)


@router.post("/logout", status_code=204)
async def logout(principal: CurrentPrincipal, session: SessionDep) -> None:
    """Sign out here."""
    await sessions.end(session, principal, principal.session_id)


@router.post("/logout-all", status_code=204)
async def logout_all(principal: CurrentPrincipal, session: SessionDep) -> None:
    """Sign out everywhere."""
    await sessions.end_all(session, principal.user_id)


@router.get("/sessions", response_model=list[SessionRead])
async def list_sessions(
    principal: CurrentPrincipal, session: ReadSessionDep
) -> Sequence[AuthSession]:
    """Where you are signed in, newest first."""
    return await sessions.page(session, principal)


@router.delete(
    "/sessions/{session_id}", status_code=204, responses=problems({404: "No such session"})
)
async def end_session(principal: CurrentPrincipal, session: SessionDep, session_id: UUID) -> None:
    """Sign out somewhere."""
    await sessions.end(session, principal, session_id)


@router.post("/forgot-password", status_code=202, dependencies=[public])
async def forgot_password(session: SessionDep, wanted: PasswordForgotten) -> Accepted:
    """Ask for a mail to set a new password. The answer is the same for every address."""
    await enqueue(session, jobs.forgot_password, email=wanted.email)
    return Accepted()


@router.post("/reset-password", status_code=204, dependencies=[public])
async def reset_password(database: DatabaseDep, wanted: PasswordReset) -> None:
    """Set a new password with the token from the mail; it ends all sessions."""
    await accounts.reset_password(database, wanted)


@router.post("/change-password", status_code=204)
async def change_password(
    principal: CurrentPrincipal, database: DatabaseDep, wanted: PasswordChange
) -> None:
    """Set a new password with the current one; it ends all sessions, this one too."""
    await accounts.change_password(database, principal, wanted)


@router.post("/change-email", status_code=202)
async def change_email(
    principal: CurrentPrincipal, database: DatabaseDep, settings: SettingsDep, wanted: EmailChange
) -> Accepted:
    """Ask for another address; both must confirm by mail."""
    await accounts.change_email(database, settings, principal, wanted)
    return Accepted()


@router.post("/confirm-email", status_code=204, dependencies=[public])
async def confirm_email(session: SessionDep, wanted: EmailConfirmation) -> None:
    """Confirm a change of address from one of the two mails; the second one makes it."""
    await accounts.confirm_email(session, wanted.token)
