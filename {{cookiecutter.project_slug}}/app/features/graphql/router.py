"""The endpoint. Each field of the schema declares its own access."""

from collections.abc import Mapping
from http import HTTPStatus
from importlib.resources import files

from fastapi import Request
from pydantic import ValidationError
from pydantic_core import to_json
from starlette.responses import HTMLResponse, Response

from app.core.errors import Failure, NotFound
from app.core.routing import SERVICE, router as new_router
from app.core.security.access import admit_claimed, public, uncounted
from app.core.service import ServiceDep
from app.features.graphql import service as graphql
from app.features.graphql.failures import InvalidRequest, UnsupportedMediaType

HTML = "text/html"
JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
EDITOR_POLICY = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data:; font-src data: https://unpkg.com;"
    " script-src 'unsafe-inline' https://unpkg.com; style-src 'unsafe-inline' https://unpkg.com;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the editor's page loads; it is for development."""

router = new_router("/graphql", tag="graphql", about=SERVICE, prefix="")


class IdeOff(NotFound):
    """The editor is off, because introspection is."""

    def __init__(self) -> None:
        super().__init__("Send queries with POST. The editor is off because introspection is off.")


class PostOnly(Failure):
    """A link could make the caller's browser execute it; some clients send queries with GET by default."""

    status = HTTPStatus.METHOD_NOT_ALLOWED
    headers: Mapping[str, str] = {"Allow": "GET, HEAD, OPTIONS, POST"}

    def __init__(self) -> None:
        super().__init__("Send queries with POST; GET opens an editor.")


@router.post("", dependencies=[uncounted], include_in_schema=False)
async def execute(request: Request, service: ServiceDep) -> Response:
    """Execute a GraphQL request."""
    await admit_claimed(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise UnsupportedMediaType
    try:
        asked = graphql.Request.model_validate_json(await request.body())
    except ValidationError:
        raise InvalidRequest from None
    status, answer = await graphql.execute(service, request, asked)
    media_type = GRAPHQL_JSON if GRAPHQL_JSON in request.headers.get("accept", "").lower() else JSON
    return Response(to_json(answer), status, media_type=media_type)


@router.get("", dependencies=[public], include_in_schema=False)
async def edit(request: Request, service: ServiceDep) -> HTMLResponse:
    """Open an editor for queries, unless introspection is off."""
    if "query" in request.query_params and HTML not in request.headers.get("accept", ""):
        raise PostOnly
    if not graphql.shows_schema(service):
        raise IdeOff
    page = files("strawberry").joinpath("static/graphiql.html").read_bytes()
    return HTMLResponse(page, headers={"Content-Security-Policy": EDITOR_POLICY})
