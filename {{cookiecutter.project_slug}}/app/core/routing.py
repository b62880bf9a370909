"""Routers for features, and the methods that their paths accept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from fastapi.params import Depends
from fastapi.routing import iter_route_contexts
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

API_PREFIX = "/api/v1"


@dataclass(frozen=True, slots=True)
class About:
    """Whose rows an endpoint accesses."""

    name: str


SERVICE = About("service")
"""The service's own rows: accounts, roles, jobs."""
CUSTOMER = About("customer")
"""Rows of customers: those of each `Resource`."""


class Router(APIRouter):
    """A router whose endpoints, WebSockets included, declare whose rows they access."""

    def __init__(self, *, about: About, quiet: bool = False, **options: Any) -> None:  # noqa: ANN401, FastAPI's
        super().__init__(**options)
        self.about = about
        self.quiet = quiet

    def add_api_route(self, *args: Any, **options: Any) -> None:  # noqa: ANN401, likewise
        """Add an endpoint."""
        super().add_api_route(*args, **options)
        vars(self.routes[-1]).update(about=self.about, quiet=self.quiet)

    def add_api_websocket_route(
        self,
        *args: Any,  # noqa: ANN401, likewise
        dependencies: Sequence[Depends] | None = None,
        **options: Any,  # noqa: ANN401
    ) -> None:
        """Add a WebSocket; a dependency marks it, as FastAPI copies it into each including router."""
        first = Depends(self.note)
        super().add_api_websocket_route(
            *args, dependencies=[first, *(dependencies or ())], **options
        )

    async def note(self, connection: HTTPConnection) -> None:
        """Record in the scope whose rows the WebSocket accesses."""
        connection.scope[ABOUT] = self.about


def router(
    path: str, *, tag: str, about: About, prefix: str = API_PREFIX, quiet: bool = False
) -> Router:
    """A router for `path` under the API's prefix, shown under `tag` in the documentation.

    Successful requests to a `quiet` one are not logged.
    """
    return Router(about=about, prefix=prefix + path, tags=[tag], quiet=quiet)


@dataclass(frozen=True, slots=True)
class Mount:
    """An ASGI application under a path. It finds the service in `scope["state"]["service"]`."""

    path: str
    app: ASGIApp
    access: Any
    """As on an endpoint: `public`, `signed_in` or `Can(...)`."""
    about: About


ABOUT = "app.about"
"""The key in the scope for mounts and WebSockets; a route has an attribute instead."""


def about_of(connection: HTTPConnection) -> About:
    """Whose rows the called endpoint accesses."""
    return connection.scope.get(ABOUT) or connection.scope["route"].about


def is_quiet(scope: Scope) -> bool:
    """Whether successful requests to the called endpoint are not logged."""
    return getattr(scope.get("route"), "quiet", False)


def methods_at(scope: Scope) -> set[str]:
    """The methods of all routes at the request's path; none if there is no such path."""
    found: set[str] = set()
    for route in iter_route_contexts(scope["app"].routes):
        if route.methods and route.matches(scope)[0] is not Match.NONE:
            found |= route.methods
    return found


def allow(methods: set[str]) -> dict[str, str]:
    """The header that lists these methods, and those that `GeneralMethods` adds."""
    general = {"HEAD", "OPTIONS"} if "GET" in methods else {"OPTIONS"}
    return {"Allow": ", ".join(sorted(methods | general))}


class GeneralMethods:
    """HEAD wherever GET is, and OPTIONS on every path (RFC 9110, sections 9.3.2 and 9.3.7)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope.get("method")
        methods = methods_at(scope) if method in {"HEAD", "OPTIONS"} else set[str]()
        if method in methods or not methods:
            await self.app(scope, receive, send)
        elif method == "OPTIONS":
            await Response(status_code=204, headers=allow(methods))(scope, receive, send)
        else:
            await self.head(scope, receive, send)

    async def head(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The response to GET, without its body."""

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self.app({**scope, "method": "GET"}, receive, send_head)
