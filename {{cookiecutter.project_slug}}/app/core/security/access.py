"""Who may call an endpoint: each declares `Can(...)`, `signed_in`, `public` or `uncounted`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Depends, Security
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import OAuth2PasswordBearer, SecurityScopes
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Mount
from starlette.types import Scope

from app.core.admission import admission_of, admit
from app.core.context import Actor, actor
from app.core.db.base import utc_now
from app.core.errors import Failure, Forbidden, Unauthorized, Unavailable
from app.core.routing import API_PREFIX, Declared
from app.core.security.principal import Principal, Question
from app.core.service import service_at, service_of

LOGIN = f"{API_PREFIX}/auth/login"
NOTHING: Mapping[str, Any] = {}


class NotAuthenticated(Unauthorized):
    """The caller presented no credentials."""

    def __init__(self) -> None:
        super().__init__("The access token is missing, invalid or expired. Sign in again.")


class NotAllowed(Forbidden):
    """The caller lacks a permission."""

    def __init__(self, missing: str) -> None:
        super().__init__(f"This requires the permission {missing}.")


async def authenticate(connection: HTTPConnection) -> Principal:
    """The caller, by the first scheme whose credentials the connection presents."""
    service = service_at(connection)
    for scheme in service.schemes:
        question = await scheme.ask(connection)
        if question is None:
            continue
        try:
            for narrow in service.narrowing:
                question = narrow(connection, question)
            rows = await service.database.rows(question.statement, question.values)
            principal = question.answer(rows)
        except (Unauthorized, Unavailable):
            raise
        except Failure:  # the credentials are good, for something else
            await admit(connection, claimed(question))
            raise
        address = actor.get().address
        actor.set(Actor(principal.user_id, principal.session_id, address, via=scheme.name))
        return principal
    raise NotAuthenticated


class SignInAgain(Unauthorized):
    """The caller may do this, but signed in too long ago (RFC 9470)."""

    def __init__(self, minutes: int) -> None:
        super().__init__(
            f"This requires a sign-in within the last {minutes} minutes. Sign in again."
        )
        challenge = f'Bearer error="insufficient_user_authentication", max_age={minutes * 60}'
        self.headers = {"WWW-Authenticate": challenge}


def require_recent_sign_in(session: AsyncSession, principal: Principal) -> None:
    """Refuse a caller whose session is old, for what a stolen session must not be able to do."""
    minutes, since = service_of(session).settings.recent_sign_in_minutes, principal.signed_in_at
    if since is None or utc_now() - since > timedelta(minutes=minutes):
        raise SignInAgain(minutes)


def claimed(question: Question) -> Principal:
    """The caller whom credentials name, before anything is read of them."""
    return Principal(user_id=question.values["user_id"], permissions=frozenset())


async def admit_claimed(connection: HTTPConnection) -> None:
    """Count a request whose parts authenticate later, against the user whom its credentials name.

    It weighs 1 until `reprice` says more.
    """
    admission_of(connection.scope).weight = 1
    who: Principal | None = None
    with suppress(Unauthorized):
        for scheme in service_at(connection).schemes:
            if question := await scheme.ask(connection):
                who = claimed(question)
                break
    await admit(connection, who)


async def authorize(connection: HTTPConnection, scopes: Iterable[str]) -> Principal:
    """The caller, authenticated once per connection, who holds all of these permissions."""
    state = connection.scope["state"]
    principal: Principal | None = state.get("principal")
    if principal is None:
        try:
            principal = await authenticate(connection)
        except Unauthorized:
            await admit(connection, None)
            raise
        await admit(connection, principal)
        state["principal"] = principal
    for permission in scopes:
        if not principal.holds({permission}):
            raise NotAllowed(permission)
    return principal


class Authenticated(OAuth2PasswordBearer):
    """The caller, who holds every permission that the endpoint names; FastAPI marks the operation as protected.

    The schemes of the features read the credentials.
    """

    async def __call__(self, connection: HTTPConnection, needed: SecurityScopes) -> Principal:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Also for WebSockets, which FastAPI's own does not support."""
        return await authorize(connection, needed.scopes)


authenticated = Authenticated(
    LOGIN,
    scheme_name="OAuth2PasswordBearer",
    description="Sign in with email address and password; leave the other fields as they are.",
)


async def anyone(connection: HTTPConnection) -> None:
    """Require nothing of the caller."""
    await admit(connection, None)


def Can(permission: StrEnum) -> Any:  # noqa: ANN401, N802, reads as a sentence: `Can(X.WRITE)`
    """Only for callers who hold `permission`; for an endpoint's `dependencies`."""
    return Security(authenticated, scopes=[permission.value])


CurrentPrincipal = Annotated[Principal, Security(authenticated)]
signed_in = Security(authenticated)
public = Depends(anyone)
uncounted = Declared(anyone)
"""Also public; its requests count against no limit, or it counts them itself."""


class Early:
    """Authenticates and counts a request before its body is read, as its endpoint's dependencies would afterwards."""

    def __init__(self) -> None:
        self.required: dict[int, bool | None] = {}
        """Whether each route, by identity, requires a caller; nothing, if it decides that later."""

    async def __call__(
        self, scope: Scope, route: BaseRoute | None = None, found: Mapping[str, Any] = NOTHING
    ) -> None:
        """Raise what refuses it; takes what the route has found in the scope. A request to no route counts as well."""
        try:
            required = self.required[id(route)]
        except KeyError:  # they live as long as the application
            required = self.required[id(route)] = requirement(route)
        if required is None:
            return
        admission_of(scope)  # for all copies of the scope
        known = scope.get("route") is route
        connection = HTTPConnection(scope if known else {**scope, **found, "route": route})
        await (authorize(connection, ()) if required else admit(connection, None))


def requirement(route: BaseRoute | None) -> bool | None:
    """Whether a route requires a caller; a mount, one that has announced its end, or is not counted, says so later."""
    if isinstance(route, APIRoute):
        declared: Sequence[Declared] = getattr(route, "declared", ())
        asked = {*calls(route.dependant)}
        if route.deprecated or uncounted in declared or not {anyone, authenticated} & asked:
            return None
        return authenticated in asked
    return None if isinstance(route, Mount) else False


def calls(dependant: Dependant) -> Iterator[Any]:
    """All dependencies of an endpoint, in the order in which they are called."""
    for part in dependant.dependencies:
        yield from calls(part)
        yield part.call
