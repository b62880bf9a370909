"""Routers for features, how requests find their endpoints, and the methods that paths accept."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.params import Depends
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from fastapi.telemetry._api import _route_selected  # pyright: ignore[reportPrivateUsage]
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.routing import Match, Mount as StarletteMount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.observing import ObservedRoute, Observing, has_form, together

API_PREFIX = "/api/v1"
Endpoint = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class About:
    """Whose rows an endpoint accesses."""

    name: str


SERVICE = About("service")
"""The service's own rows: accounts, roles, jobs."""
CUSTOMER = About("customer")
"""Rows of customers: those of each `Resource`."""


class Declared(Depends):
    """A dependency that only declares something of an endpoint: no request to it waits for it."""


class Deprecated(Depends):
    """A dependency that announces the end of an endpoint, before any other refuses the request."""


class Router(APIRouter):
    """A router whose endpoints, WebSockets included, declare whose rows they access."""

    def __init__(
        self,
        *,
        about: About,
        quiet: bool = False,
        confidential: bool = False,
        **options: Any,  # noqa: ANN401, FastAPI's
    ) -> None:
        super().__init__(**options)
        self.declaring: dict[str, Any] = {
            "about": about,
            "quiet": quiet,
            "confidential": confidential,
        }
        self.added: list[tuple[str, Endpoint, dict[str, Any]]] = []
        """What `add_api_route` was called with."""

    def add_api_route(
        self,
        path: str,
        endpoint: Endpoint,
        *,
        dependencies: Sequence[Depends] | None = None,
        **options: Any,  # noqa: ANN401, likewise
    ) -> None:
        """Add an endpoint."""
        self.added.append((path, endpoint, {**options, "dependencies": dependencies}))
        declared = [each for each in dependencies or () if isinstance(each, Declared)]
        others = [each for each in dependencies or () if not isinstance(each, Declared)]
        # The end of an endpoint is announced first; what answers in its place comes after its permissions.
        others.sort(key=lambda each: isinstance(each, Observing) - isinstance(each, Deprecated))
        if any(isinstance(each, Deprecated) for each in others):
            options["deprecated"] = True
        if observing := [each for each in others if isinstance(each, Observing)]:
            declared_responses = [each.responses for each in observing]
            options["responses"] = together(*declared_responses, options.get("responses") or {})
            options["route_class_override"] = ObservedRoute
        super().add_api_route(path, endpoint, dependencies=others, **options)
        vars(self.routes[-1]).update(self.declaring, declared=declared)

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
        connection.scope[ABOUT] = self.declaring["about"]

    def version(self, prefix: str, *, without: Collection[Endpoint] = ()) -> "Router":
        """The endpoints of this router under the prefix of another version, but those that it replaces or drops.

        They are the same functions, and this router stays as it is.
        """
        path = self.prefix.removeprefix(API_PREFIX)
        other = Router(**self.declaring, prefix=prefix + path, tags=self.tags)
        for path, endpoint, options in self.added:
            if endpoint not in without:
                other.add_api_route(path, endpoint, **options)
        return other


def router(
    path: str,
    *,
    tag: str,
    about: About,
    prefix: str = API_PREFIX,
    quiet: bool = False,
    confidential: bool = False,
) -> Router:
    """A router for `path` under the API's prefix, shown under `tag` in the documentation.

    Successful requests to a `quiet` one are not logged; the responses of a `confidential` one carry secrets, and are not compressed.
    """
    return Router(
        about=about, prefix=prefix + path, tags=[tag], quiet=quiet, confidential=confidential
    )


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


def is_confidential(scope: Scope) -> bool:
    """Whether the responses of the called endpoint carry secrets."""
    return getattr(scope.get("route"), "confidential", False)


TEMPLATE = "app.template"
"""The key in the scope for the path of the called route, as it was declared."""


def template_of(scope: Scope) -> str | None:
    """The path of the called route, with the names of its parameters; there are as many as routes, whatever clients request."""
    return scope.get(TEMPLATE) or getattr(scope.get("route"), "path", None)


TELEMETRY = "fastapi.telemetry"
"""The key in the scope of a request that FastAPI traces or measures."""


ANY = -1
"""The number of slashes in paths with a parameter that may have some."""


Candidate = tuple[int, RouteContext, bool]
"""The place of a route among all, itself, and whether nothing but its own endpoint handles it."""


class Shortcut:
    """Calls the endpoint at a request's path without trying the others; the rest is FastAPI's own search.

    That search tries the routes of all routers in turn, twice each, and made up a third of a small request.
    """

    def __init__(self, app: FastAPI, early: Callable[..., Awaitable[None]]) -> None:
        self.app = app
        self.early = early
        """What decides whether a request is served, before its body is read."""
        self.search = app.router.middleware_stack
        self.known: dict[str, Sequence[Candidate]] = {}
        """The candidates of paths without parameters: as many as there are routes, whatever clients request."""

    @cached_property
    def routes(self) -> Mapping[tuple[str, int], Sequence[Candidate]]:
        """All routes in their order, by what is fixed of their path, and its number of slashes."""
        found = defaultdict[tuple[str, int], list[Candidate]](list)
        limited = limits_forms(self.app)
        for order, route in enumerate(iter_route_contexts(self.app.routes)):
            path = route.path or "/{host:any}"
            if isinstance(route.original_route, StarletteMount):
                path += "/{path:path}"
            fixed, parameter, _ = path.partition("{")
            start = fixed[: fixed.rindex("/") + 1] if parameter else fixed
            slashes = ANY if ":" in path else path.count("/")
            plain = type(route.original_route) in {APIRoute, ObservedRoute}
            found[start, slashes].append(
                (order, route, plain and not (limited and has_form(route)))
            )
        return found

    @cached_property
    def longest(self) -> int:
        """The length of the longest of these beginnings."""
        return max((len(start) for start, _ in self.routes), default=0)

    def candidates(self, path: str) -> Sequence[Candidate]:
        """The routes that may match, in their order."""
        slashes = path.count("/")
        fixed = (path, slashes) in self.routes
        if fixed and path in self.known:
            return self.known[path]
        starts = [path]
        end = path.rfind("/", 0, self.longest)
        while end >= 0:
            starts.append(path[: end + 1])
            end = path.rfind("/", 0, end)
        keys = dict.fromkeys((start, number) for start in starts for number in (slashes, ANY))
        found = sorted(each for key in keys for each in self.routes.get(key, ()))
        if fixed:
            self.known[path] = found
        return found

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A pattern of Starlette's also matches before a line feed at the end.
        if scope["type"] == "http" and "\n" not in scope["path"]:
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            for _, route, plain in self.candidates(path):
                match, found = route.matches(scope)
                if match is not Match.FULL:
                    continue
                scope[TEMPLATE] = route.path
                if plain:
                    scope.update(found, route=route.original_route, router=self.app.router)
                    if TELEMETRY in scope:
                        _route_selected(scope=scope, path=route.path)
                await self.early(scope, route.original_route, found)
                if not plain:
                    break
                await route.app(scope, receive, send)
                return
            else:
                await self.early(scope)
        await self.search(scope, receive, send)


def limits_forms(app: FastAPI) -> bool:
    """Whether a router limits forms, which FastAPI's own search does on the way to the route."""
    routers: list[Any] = [app.router]
    for router in routers:
        included = [each for each in router.routes if hasattr(each, "include_context")]
        routers += [each.original_router for each in included]
        if router.form_limits or any(each.include_context.form_limits for each in included):
            return True
    return False


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

        got = {**scope, "method": "GET"}
        try:
            await self.app(got, receive, send_head)
        finally:  # for what looks at the request afterwards
            scope.update({key: got[key] for key in ("route", TEMPLATE) if key in got})
