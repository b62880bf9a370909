"""Dependencies of endpoints."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Header, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app.core.db.session import SESSION, Database, DatabaseDep
from app.core.errors import Failure, bug_response, failure_response
from app.core.middleware import add_headers
from app.core.observing import Answered, Observing, before_commit
from app.core.openapi import REQUIRED, problems
from app.core.security.access import CurrentPrincipal
from app.core.security.principal import Principal
from app.features.idempotency.service import (
    LONGEST,
    Answer,
    Claim,
    InvalidKey,
    claim,
    digest,
    held,
    key_in,
    key_of,
)

KEY, REPLAYED = "Idempotency-Key", "Idempotent-Replayed"
LENGTH = "content-length"
REFUSALS = problems(
    {
        400: f"`{KEY}` is missing or malformed, or the body cannot be read",
        409: "A request with this key is in progress, or this one conflicts with the current state",
        422: "The key was used for another request, or the request does not match the schema",
    }
)


ABOUT = (
    "A random UUID, for example. The request is executed once, however often it is repeated with the same key: the response is"
    " repeated as well, with `Idempotent-Replayed: true`"
)
# What is no key is refused with 400, and not with 422, as FastAPI would.
SHAPE: dict[str, Any] = {"pattern": "^[!#-~][!-~]*$", "minLength": 1, "maxLength": LONGEST}
Key = Annotated[str | None, Header(alias=KEY, description=ABOUT, json_schema_extra=SHAPE)]
RequiredKey = Annotated[
    str | None, Header(alias=KEY, description=ABOUT, json_schema_extra={**SHAPE, REQUIRED: True})
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
    request: Request, database: DatabaseDep, principal: CurrentPrincipal, key: RequiredKey = None
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
    if len(request.headers.getlist(KEY)) > 1:
        raise InvalidKey
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
            case RequestValidationError() | HTTPException():
                return None  # it was not executed
            case Failure():
                return answer_of(failure_response(request, error))
            case _:
                return answer_of(bug_response(request))

    before_commit(request.scope, keep)
    async with held(found, failed):
        yield


async def settle(request: Request, claim: Claim, answer: Answer) -> None:
    """Record the answer in the transaction of the request."""
    await claim.settle(request.scope[SESSION], answer)


def answer_of(response: Response) -> Answer:
    """What is repeated of a response."""
    headers = [(name, value) for name, value in response.headers.items() if name != LENGTH]
    return Answer(response.status_code, headers, bytes(response.body))


def repeated(answer: Answer) -> Response:
    """The response again."""
    response = Response(answer.body, answer.status)
    length = [each for each in response.raw_headers if each[0] == LENGTH.encode()]
    response.raw_headers = length + [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers
    ]
    return response


idempotent = Observing(keyed, scope="function", responses=REFUSALS)
"""For the `dependencies` of an endpoint: clients may give a key, so that retries have no second effect."""
idempotent_only = Observing(keyed_only, scope="function", responses=REFUSALS)
"""The same where a second effect would be costly: clients must give a key."""
