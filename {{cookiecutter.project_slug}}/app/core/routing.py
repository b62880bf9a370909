"""Routers, as every feature makes them, and which methods their paths take."""

from fastapi import APIRouter
from fastapi.routing import iter_route_contexts
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

API_PREFIX = "/api/v1"


def router(path: str, *, tag: str, prefix: str = API_PREFIX) -> APIRouter:
    """A router for `path` under the API's prefix, shown under `tag` in the documentation."""
    return APIRouter(prefix=prefix + path, tags=[tag])


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
