"""Signing in and out, and sessions."""

import strawberry
from strawberry import relay

from app.core.routing import SERVICE
from app.core.security.access import public, signed_in
from app.features.auth import schemas, sessions
from app.features.graphql.context import Info
from app.features.graphql.fields import field
from app.features.graphql.nodes import Identified, uuid_of
from app.features.graphql.schemas import Shown, shows, valid


@shows(schemas.SessionRead)
class Session(Identified): ...


@shows(schemas.Tokens)
class Tokens(Shown): ...


@strawberry.type
class Query:
    @field(signed_in, SERVICE)
    async def sessions(self, info: Info) -> list[Session]:
        """List the caller's sessions, newest first."""
        async with info.context.reading() as session:
            found = await sessions.page(session, info.context.principal)
        return [Session.of(each) for each in found]


@strawberry.type
class Mutation:
    @field(public, SERVICE)
    async def login(self, info: Info, email: str, password: str) -> Tokens:
        """Sign in with email address and password. Once per request."""
        info.context.attempt()
        form = valid(schemas.PasswordForm, {"username": email, "password": password})
        user_agent = info.context.connection.headers.get("user-agent", "")
        database = info.context.service.database
        return Tokens.of(await sessions.login(database, form.username, form.password, user_agent))

    @field(public, SERVICE)
    async def refresh(self, info: Info, refresh_token: str) -> Tokens:
        """Exchange a refresh token for new tokens. Each can be used once, and one per request."""
        info.context.attempt()
        wanted = valid(schemas.Refresh, {"refresh_token": refresh_token})
        database = info.context.service.database
        return Tokens.of(
            await sessions.refresh(database, wanted.refresh_token, info.context.arrived)
        )

    @field(signed_in, SERVICE)
    async def logout(self, info: Info) -> bool:
        """Revoke the current session."""
        principal = info.context.principal
        async with info.context.unit_of_work() as session:
            await sessions.end(session, principal, principal.session_id)
        return True

    @field(signed_in, SERVICE)
    async def logout_all(self, info: Info) -> bool:
        """Revoke all of the caller's sessions."""
        async with info.context.unit_of_work() as session:
            await sessions.end_all(session, info.context.principal.user_id)
        return True

    @field(signed_in, SERVICE)
    async def revoke_session(self, info: Info, id: relay.GlobalID) -> relay.GlobalID:
        """Revoke one session."""
        async with info.context.unit_of_work() as session:
            await sessions.end(session, info.context.principal, uuid_of(Session, id))
        return id
