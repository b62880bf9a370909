"""Endpoints."""

from collections.abc import Sequence
from uuid import UUID

from app.core.db.session import DatabaseDep, ReadSessionDep, SessionDep
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

router = new_router("/auth", tag="auth", about=SERVICE, confidential=True)

REFUSED = problems({401: "Wrong credentials or an invalid token"})


@router.post("/register", status_code=202, dependencies=[public])
async def register(database: DatabaseDep, new: Registration) -> Accepted:
    """Register an account. The response and its timing do not reveal whether the address was taken."""
    await jobs.ask_to_register(database, new)
    return Accepted()


@router.post("/verify-email", status_code=204, dependencies=[public])
async def verify_email(database: DatabaseDep, wanted: EmailVerification) -> None:
    """Verify your address with the mailed token and your password."""
    await accounts.verify_email(database, wanted.token, wanted.password)


@router.post("/login", dependencies=[public], responses=REFUSED)
async def login(database: DatabaseDep, form: LoginForm, user_agent: UserAgent = "") -> Tokens:
    """Sign in with email address and password."""
    return await sessions.login(database, form.username, form.password, user_agent)


@router.post("/refresh", dependencies=[public], responses=REFUSED)
async def refresh(arrived: Arrived, database: DatabaseDep, wanted: Refresh) -> Tokens:
    """Exchange a refresh token for new tokens. A refresh token can be used once."""
    return await sessions.refresh(database, wanted.refresh_token, arrived)


@router.post("/logout", status_code=204)
async def logout(principal: CurrentPrincipal, session: SessionDep) -> None:
    """Revoke the current session."""
    await sessions.end(session, principal, principal.session_id)


@router.post("/logout-all", status_code=204)
async def logout_all(principal: CurrentPrincipal, session: SessionDep) -> None:
    """Revoke all of the caller's sessions."""
    await sessions.end_all(session, principal.user_id)


@router.get("/sessions", response_model=list[SessionRead])
async def list_sessions(
    principal: CurrentPrincipal, session: ReadSessionDep
) -> Sequence[AuthSession]:
    """List the caller's sessions, newest first."""
    return await sessions.page(session, principal)


@router.delete(
    "/sessions/{session_id}", status_code=204, responses=problems({404: "No such session"})
)
async def end_session(principal: CurrentPrincipal, session: SessionDep, session_id: UUID) -> None:
    """Revoke one session."""
    await sessions.end(session, principal, session_id)


@router.post("/forgot-password", status_code=202, dependencies=[public])
async def forgot_password(database: DatabaseDep, wanted: PasswordForgotten) -> Accepted:
    """Request a password-reset mail. The response is the same for every address."""
    await jobs.ask_for_reset(database, wanted.email)
    return Accepted()


@router.post("/reset-password", status_code=204, dependencies=[public])
async def reset_password(database: DatabaseDep, wanted: PasswordReset) -> None:
    """Reset the password with the mailed token, and revoke all sessions."""
    await accounts.reset_password(database, wanted)


@router.post("/change-password", status_code=204)
async def change_password(
    principal: CurrentPrincipal, database: DatabaseDep, wanted: PasswordChange
) -> None:
    """Change the password, and revoke all sessions, including the current one."""
    await accounts.change_password(database, principal, wanted)


@router.post("/change-email", status_code=202)
async def change_email(
    principal: CurrentPrincipal, database: DatabaseDep, settings: SettingsDep, wanted: EmailChange
) -> Accepted:
    """Request a change of email address. Both addresses must confirm it by mail."""
    await accounts.change_email(database, settings, principal, wanted)
    return Accepted()


@router.post("/confirm-email", status_code=204, dependencies=[public])
async def confirm_email(database: DatabaseDep, wanted: EmailConfirmation) -> None:
    """Confirm a change of address. It applies once both addresses have confirmed."""
    await accounts.confirm_email(database, wanted.token)
