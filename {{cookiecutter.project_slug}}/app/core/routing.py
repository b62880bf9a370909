"""Routers, as every feature makes them, and which methods their paths take."""

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from fastapi import APIRouter
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

API_PREFIX = "/api/v1"


@dataclass(frozen=True, slots=True)
class About:
    """Whose rows an endpoint reaches."""

    name: str


SERVICE = About("service")
"""The service's own rows: accounts, roles, jobs."""
CUSTOMER = About("customer")
"""Rows of customers: those of a `Resource`."""


class Route(APIRoute):
    """An endpoint that says whose rows it reaches."""

    about: ClassVar[About]


@cache
def route_about(about: About) -> type[Route]:
    """The class of such routes, as routers are told of it."""
    return type("Route", (Route,), {"about": about})


def router(path: str, *, tag: str, about: About, prefix: str = API_PREFIX) -> APIRouter:
    """A router for `path` under the API's prefix, shown under `tag` in the documentation."""
    return APIRouter(prefix=prefix + path, tags=[tag], route_class=route_about(about))


@dataclass(frozen=True, slots=True)
class Mount:
    """An ASGI application under a path. It finds the service in `scope["state"]["service"]`."""

    path: str
    app: ASGIApp
    access: Any
    """As an endpoint says it: `public`, `signed_in` or `Can(...)`."""
    about: About


ABOUT = "app.about"
"""Where a mount says in the scope what a route says in its class."""


def about_of(connection: HTTPConnection) -> About:
    """Whose rows the endpoint that is called reaches."""
    return connection.scope.get(ABOUT) or connection.scope["route"].about


def methods_at(scope: Scope) -> set[str]:
    """The methods of all routes at the request's path; none when there is no such path."""
    found: set[str] = set()
    for route in iter_route_contexts(scope["app"].routes):
        if route.methods and route.matches(scope)[0] is not Match.NONE:
            found |= route.methods
    return found


def allow(methods: set[str]) -> dict[str, str]:
    """The header that names these methods, and those that `GeneralMethods` adds."""
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
        """The answer to GET, its body left out."""

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self.app({**scope, "method": "GET"}, receive, send_head)
