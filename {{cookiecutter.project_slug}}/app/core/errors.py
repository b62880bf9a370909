"""Failures, and how they are reported to clients: problem documents (RFC 9457).

A failure is a class with a status, raised where the rule is enforced. Errors of the framework and bugs have
the same form, and responses never contain a stack trace.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, cast

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.types import Scope

from app.core.correlation import correlation_id
from app.core.routing import allow, is_quiet, methods_at

log = structlog.stdlib.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 20
LONGEST_TEXT = 200
REPORTED = "reported"
"""The attribute of an exception that is in the log already."""

QUOTING = {
    "bytes_invalid_encoding": "encoding_error",
    "union_tag_invalid": "tag",
    "url_parsing": "error",
    "url_syntax_violation": "error",
    "uuid_parsing": "error",
    "value_error": "reason",  # of an email address
}
"""Pydantic errors whose messages quote the value, and the context key of the quoted part."""


KINDS: dict[str, "type[Failure]"] = {}
"""The failures that features, and parts of core, declare, by type of problem."""


class Failure(Exception):
    """A failure that the service's rules foresee, as opposed to a bug."""

    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST
    headers: Mapping[str, str] = {}
    keeps_work: ClassVar[bool] = False
    """Whether what the request has written is committed despite the failure, as a record of it."""

    def __init__(self, detail: str, **members: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.members = members

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__ != __name__:
            KINDS[problem_type(cls)] = cls


class Unauthorized(Failure):
    """The caller is not authenticated."""

    status = HTTPStatus.UNAUTHORIZED
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}


class Forbidden(Failure):
    """The caller may not do this."""

    status = HTTPStatus.FORBIDDEN


class Unprocessable(Failure):
    """The request is well-formed, but its content breaks a rule."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class NotModified(Exception):
    """The client has the current version of what it asks for, which these headers name."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__()
        self.headers = headers


class NotFound(Failure):
    """The resource does not exist, or the caller may not see it."""

    status = HTTPStatus.NOT_FOUND


class Conflict(Failure):
    """The request conflicts with the current state."""

    status = HTTPStatus.CONFLICT


class Unavailable(Failure):
    """A dependency of the service is unavailable; the same request may succeed later."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    headers: Mapping[str, str] = {"Retry-After": "5"}


class FieldProblem(BaseModel):
    """A validation error, in one part of the request."""

    location: str = Field(examples=["body"], description="body, query, path, header or cookie")
    pointer: str = Field(
        examples=["/title"],
        description=f"JSON pointer (RFC 6901) to the value; truncated with `…` beyond {LONGEST_TEXT} characters",
    )
    rule: str = Field(examples=["string_too_short"])
    message: str = Field(examples=["String should have at least 1 character"])


class Problem(BaseModel):
    """A problem document, RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["about:blank"], description="The type of problem")
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str | None = Field(None, examples=["There is no such page."])
    instance: str | None = Field(None, examples=["/api/v1/pages/1"])
    correlation_id: str | None = Field(None, description="Quote it when you ask for help")
    errors: list[FieldProblem] | None = Field(
        None, max_length=MOST_ERRORS, description="The first validation errors"
    )
    error_count: int | None = Field(
        None, examples=[1], description="The total number of validation errors"
    )


def problem_type(failure: type[Failure]) -> str:
    """`RoleInUse` is `urn:problem-type:role-in-use`."""
    return "urn:problem-type:" + re.sub(r"(?<!^)(?=[A-Z])", "-", failure.__name__).lower()


def problem_document(
    status: int,
    detail: str | None = None,
    *,
    kind: str = "about:blank",
    instance: str | None = None,
    **members: object,
) -> dict[str, object]:
    """A problem document, without the members that are absent."""
    document = {
        "type": kind,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": clipped(instance) if instance else None,
        "correlation_id": correlation_id.get(),
        **members,
    }
    return {name: value for name, value in document.items() if value is not None}


def problem_response(
    status: int,
    detail: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    **members: Any,  # noqa: ANN401, those of `problem_document`
) -> JSONResponse:
    """A problem document as a response."""
    document = problem_document(status, detail, **members)
    return JSONResponse(document, status, headers=headers, media_type=MEDIA_TYPE)


def clipped(text: str) -> str:
    """The client's text, truncated and encodable, to be sent back."""
    cut = text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
    return cut.encode(errors="replace").decode()


def is_expected(error: Exception) -> bool:
    """Whether it is a failure that the rules of the service foresee, and none of the service itself."""
    return isinstance(error, Failure) and error.status < HTTPStatus.INTERNAL_SERVER_ERROR


def report(scope: Scope, error: Exception) -> None:
    """Hand the error to what collects errors, with the endpoint that raised it: never its path, which holds ids."""
    service = scope.get("state", {}).get("service")
    if service is not None and not is_quiet(scope):  # a probe that fails is an answer
        endpoint = getattr(scope.get("route"), "path", "(no endpoint)")
        service.report(error, f"{scope.get('method', 'WS')} {endpoint}")


async def render_failure(request: Request, error: Exception) -> JSONResponse:
    """Render a failure of the service's rules."""
    if not is_expected(error):
        report(request.scope, error)
    return failure_response(request, cast("Failure", error))


def failure_response(request: Request, failure: Failure) -> JSONResponse:
    """The response to a failure of the service's rules."""
    return problem_response(
        failure.status,
        failure.detail,
        kind=problem_type(type(failure)),
        instance=request.scope["path"],
        headers=failure.headers,
        **failure.members,
    )


async def render_http_exception(request: Request, error: Exception) -> JSONResponse:
    """Render a refusal of the framework: 404, 405, 413 and the like."""
    refusal = cast("HTTPException", error)
    detail = None if refusal.detail == HTTPStatus(refusal.status_code).phrase else refusal.detail
    headers = refusal.headers
    if refusal.status_code == HTTPStatus.METHOD_NOT_ALLOWED and (
        methods := methods_at(request.scope)
    ):
        headers = allow(methods)
    return problem_response(
        refusal.status_code, detail, instance=request.scope["path"], headers=headers
    )


async def render_validation_error(request: Request, error: Exception) -> JSONResponse:
    """Render a schema violation: name each field and rule, without repeating values."""
    invalid = cast("RequestValidationError", error)
    found = invalid.errors()
    return problem_response(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The request does not match the schema.",
        instance=request.scope["path"],
        **validation_members(found),
    )


def validation_members(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The members of a problem document that name the broken rules."""
    return {
        "kind": "urn:problem-type:validation-error",
        "errors": [field_problem(item).model_dump() for item in found[:MOST_ERRORS]],
        "error_count": len(found),
    }


def field_problem(error: Mapping[str, Any]) -> FieldProblem:
    """One error of pydantic, without the input."""
    location, *path = error["loc"]
    unparsable = error["type"] == "json_invalid"  # its path is an offset, not a field
    steps = [] if unparsable else [str(step).replace("~", "~0").replace("/", "~1") for step in path]
    return FieldProblem(
        location=str(location),
        pointer=clipped("".join(f"/{step}" for step in steps)),
        rule=error["type"],
        message=clipped(message_of(error)),
    )


def message_of(error: Mapping[str, Any]) -> str:
    """Pydantic's message, without the quoted value."""
    quoted = error.get("ctx", {}).get(QUOTING.get(error["type"]))
    message = error["msg"].replace(str(quoted), "…") if quoted else error["msg"]
    return message.removesuffix(", …").removesuffix(": …")


async def render_bug(request: Request, error: Exception) -> JSONResponse:
    """Render an unexpected exception; the stack trace goes to the log only."""
    report_bug(request.scope, error)
    return bug_response(request)


def report_bug(scope: Scope, error: Exception) -> None:
    """Log and report a bug, with what is known of its request; where it is raised further, the server does not log it again."""
    log.error("unhandled_exception", exc_info=error)
    vars(error)[REPORTED] = True
    report(scope, error)


def bug_response(request: Request) -> JSONResponse:
    """The response to a bug, which says nothing of it."""
    return problem_response(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Something went wrong on our side.",
        instance=request.scope["path"],
    )


async def render(request: Request, error: Exception) -> Response:
    """The response to any exception."""
    for kind, renderer in RENDERERS.items():
        if isinstance(error, kind):
            return await renderer(request, error)
    return await render_bug(request, error)


async def render_not_modified(request: Request, error: Exception) -> Response:
    """The response without a body."""
    headers = dict(cast("NotModified", error).headers)
    return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)


RENDERERS: Mapping[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    Failure: render_failure,
    NotModified: render_not_modified,
    HTTPException: render_http_exception,
    RequestValidationError: render_validation_error,
}


def install(app: FastAPI) -> None:
    """Handle every failure of an endpoint; middleware catches those outside endpoints."""
    for kind, renderer in RENDERERS.items():
        app.add_exception_handler(kind, renderer)
