"""Dependencies of endpoints."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Header, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app.core.db.session import SESSION, Database, DatabaseDep
from app.core.errors import Failure, bug_response, render_failure
from app.core.middleware import add_headers
from app.core.openapi import problems
from app.core.routing import Answered, Observing, before_commit
from app.core.security.access import CurrentPrincipal
from app.core.security.principal import Principal
from app.features.idempotency.service import (
    Answer,
    Claim,
    InvalidKey,
    claim,
    digest,
    held,
    key_of,
)

KEY, REPLAYED = "Idempotency-Key", "Idempotent-Replayed"
BARE = re.compile(r"[!-~]{1,255}")
QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\]){1,255})"')
"""A string of RFC 9651; with escapes, as long as one without."""
REFUSALS = problems(
    {
        400: f"`{KEY}` is missing or malformed, or the body cannot be read",
        409: "A request with this key is in progress, or this one conflicts with the current state",
        422: "The key was used for another request, or the request does not match the schema",
    }
)


Key = Annotated[
    str | None,
    Header(
        alias=KEY,
        description="A random UUID, for example. The request is executed once, however often it is repeated with"
        " the same key: the response is repeated as well, with `Idempotent-Replayed: true`",
    ),
]


async def keyed(
    request: Request, database: DatabaseDep, principal: CurrentPrincipal, key: Key = None
) -> AsyncGenerator[None]:
    """Execute the request once, if the client gives a key."""
    if key is None:
        yield
    else:
        async with executing_once(request, database, principal, key):
            yield


async def keyed_only(
    request: Request, database: DatabaseDep, principal: CurrentPrincipal, key: Key = None
) -> AsyncGenerator[None]:
    """Execute the request once; refuse it without a key."""
    async with executing_once(request, database, principal, key or ""):
        yield


@asynccontextmanager
async def executing_once(
    request: Request, database: Database, principal: Principal, key: str
) -> AsyncGenerator[None]:
    """Claim the request, or answer as before; then record what the endpoint answers, or how it fails."""
    name = key_in(key)
    add_headers(request.scope, {KEY: key})
    found = await claim(
        database,
        key_of(principal, request.scope["route"].unique_id, name),
        digest(request.method, request.url.path, request.url.query, await request.body()),
    )
    if isinstance(found, Answer):
        add_headers(request.scope, {REPLAYED: "true"})
        raise Answered(repeated(found))

    async def keep(response: Response) -> None:
        await settle(request, found, answer_of(response))

    async def failed(error: Exception) -> Answer | None:
        match error:
            case Failure():
                return answer_of(await render_failure(request, error))
            case RequestValidationError() | HTTPException():
                return None  # it was not executed
            case _:
                return answer_of(bug_response(request))

    before_commit(request.scope, keep)
    async with held(found, failed):
        yield


async def settle(request: Request, claim: Claim, answer: Answer) -> None:
    """Record the answer in the transaction of the request, if it has one."""
    session = request.scope.get(SESSION)
    await (claim.record(answer) if session is None else claim.settle(session, answer))


def key_in(header: str) -> str:
    """The key in a header, with or without quotes."""
    if quoted := QUOTED.fullmatch(header):
        return re.sub(r"\\(.)", r"\1", quoted[1])
    if not BARE.fullmatch(header) or header.startswith('"'):
        raise InvalidKey
    return header


def answer_of(response: Response) -> Answer:
    """What is repeated of a response."""
    headers = [(name, value) for name, value in response.headers.items() if name != LENGTH]
    return Answer(response.status_code, headers, bytes(response.body))


def repeated(answer: Answer) -> Response:
    """The response again."""
    response = Response(answer.body, answer.status)
    length = response.headers[LENGTH]
    response.raw_headers = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in [*answer.headers, (LENGTH, length)]
    ]
    return response


LENGTH = "content-length"

idempotent = Observing(keyed, scope="function", responses=REFUSALS)
"""For the `dependencies` of an endpoint: clients may give a key, so that retries have no second effect."""
idempotent_only = Observing(keyed_only, scope="function", responses=REFUSALS)
"""The same where a second effect would be costly: clients must give a key."""
