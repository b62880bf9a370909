"""The middleware of every request, in the order of `middleware`; plain ASGI, which costs least."""

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from logging import INFO
from time import perf_counter
from typing import cast

from fastapi import Request
from fastapi.middleware.cors import CORSMiddleware
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from app.core import correlation, deadline
from app.core.bodies import BodyLimit
from app.core.carriers import begun, carrying
from app.core.changes import Changes
from app.core.compression import compressed, is_compressible
from app.core.errors import Unavailable, problem_response, render, report_bug
from app.core.logging import access_log
from app.core.observers import Observer
from app.core.protection import PROTECTION, KnownHosts, transport
from app.core.read_after import HEADER, ReadAfterWrite
from app.core.routing import GeneralMethods, is_quiet, template_of
from app.core.settings import Settings

FAILED = 400
"""The lowest status that is not a success."""

SENT = ("Authorization", "Content-Type", "If-Match", "If-None-Match")
"""The headers that pages of other origins may send, besides those of features."""
VARY = b"Origin, Accept-Encoding"
HEADERS, ENDED = "app.headers", "app.ended"
"""The keys in the scope for what `add_headers` and `at_end` add."""


def add_headers(scope: Scope, headers: Mapping[str, str]) -> None:
    """Add these to the response, whatever it will be, instead of those added before; a WebSocket has none."""
    added: dict[bytes, bytes] = scope.setdefault(HEADERS, {})
    for name, text in headers.items():
        added[name.lower().encode()] = text.encode()


def add_link(scope: Scope, link: str) -> None:
    """Add a link to the response, beside those added before."""
    added: dict[bytes, bytes] = scope.setdefault(HEADERS, {})
    known = added.get(b"link")
    added[b"link"] = b", ".join(filter(None, (known, link.encode())))


def at_end(scope: Scope, act: Callable[[], None]) -> None:
    """Call `act` once the request is over, whatever became of it."""
    scope[ENDED].append(act)


class Responses:
    """Adds the headers that every response has, its id among them, and logs one line for each request.

    Never its query or headers, which may hold secrets; of probes only what changes, and a failure once a minute.
    """

    def __init__(self, app: ASGIApp, headers: Mapping[str, str], compress_from: int) -> None:
        self.app = app
        self.compress_from = compress_from or sys.maxsize
        """The least size in bytes of a body that is compressed; 0 compresses none."""
        self.headers = [(name.lower().encode(), text.encode()) for name, text in headers.items()]
        self.probes = Changes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        log = access_log()
        observers = observers_at(scope)
        for each in observers:
            each.begin()
        started, status = perf_counter(), 0
        added = scope[HEADERS] = dict[bytes, bytes]()
        ended = scope[ENDED] = list[Callable[[], None]]()
        held: Message | None = None

        async def complete(message: Message) -> None:
            nonlocal status, held
            if message["type"] == "http.response.start":
                status = int(message["status"])  # an HTTPStatus is logged by name
                identity = (correlation.NAME, (correlation.correlation_id.get() or "").encode())
                given = [*message.get("headers", ()), identity, *added.items()]
                names = dict(given)
                message["headers"] = given + [each for each in self.headers if each[0] not in names]
                large = int(names.get(b"content-length", 0)) >= self.compress_from
                if large and is_compressible(scope, names):
                    held = message
                    return
            elif held:
                start, held = held, None
                if not message.get("more_body"):
                    body: bytes = message.get("body", b"")
                    start, message["body"] = await compressed(scope["method"], start, body)
                await send(start)
            await send(message)

        try:
            await self.app(scope, receive, complete)
        finally:
            for act in ended:
                act()
            seconds, method, route = perf_counter() - started, scope["method"], template_of(scope)
            for each in observers:
                each.end(method, route, status, seconds)
            quiet = is_quiet(scope) and not self.probes.are_news(
                route, status, usual=0 < status < FAILED
            )
            if not quiet and log.is_enabled_for(INFO):
                log.info(
                    "request",
                    method=method,
                    path=scope["path"],
                    route=route,
                    status=status,
                    duration_ms=round(seconds * 1000, 2),
                    client=scope["client"][0] if scope.get("client") else None,
                )


def observers_at(scope: Scope) -> Sequence[Observer]:
    """Of the service; an application that was not started has none."""
    try:
        return scope["state"]["service"].observers
    except KeyError:
        return ()


class Carrying:
    """Each request starts with a context of its own, which has an id and an address, but no user."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with carrying(begun(scope)):
            await self.app(scope, receive, send)


class TooSlow(Unavailable):
    """The request took too long; its changes were rolled back, unless they were being committed."""

    # The rest of a body that arrives too slowly is not waited for.
    headers: Mapping[str, str] = {**Unavailable.headers, "Connection": "close"}

    def __init__(self) -> None:
        super().__init__("The request took too long. Try again later.")


class ErrorBoundary:
    """Whatever escapes the application becomes a problem document, within reach of CORS headers.

    So does a request that is not answered after so many `seconds`. A response that has begun may take longer.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self.app = app
        self.limit = deadline.TimeLimit(seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self.connect(scope, receive, send)
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = late = False
        task = cast("asyncio.Task[None]", asyncio.current_task())

        def stop() -> None:
            nonlocal late
            late = True
            task.cancel()

        async def note_start(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self.limit.end(stop)
                deadline.deadline.set(None)
            await send(message)

        deadline.deadline.set(self.limit.start(stop))
        try:
            try:
                await self.app(scope, receive, note_start)
            except asyncio.CancelledError:
                if not late or task.uncancel() > 0:
                    raise
                raise TooSlow from None
            finally:
                self.limit.end(stop)
                deadline.deadline.set(None)
        except Exception as error:
            if started:
                report_bug(scope, error)
                raise
            response = await render(Request(scope), error)
            await response(scope, receive, send)

    async def connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a WebSocket; a client that leaves is no bug."""
        try:
            await self.app(scope, receive, send)
        except WebSocketDisconnect:
            return
        except Exception as error:
            report_bug(scope, error)
            raise


class CORS(CORSMiddleware):
    """Cross-origin rules whose refusals are problem documents too."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request that no page of another origin sent needs nothing of CORS."""
        if scope["type"] == "http" and b"origin" not in dict(scope["headers"]):
            scope.setdefault(HEADERS, {})[b"vary"] = VARY
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def simple_response(
        self, scope: Scope, receive: Receive, send: Send, request_headers: Headers
    ) -> None:
        """Answer a request that is no preflight."""
        scope.setdefault(HEADERS, {})[b"vary"] = VARY
        await super().simple_response(scope, receive, send, request_headers)

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a preflight request."""
        response = super().preflight_response(request_headers)
        if response.status_code < FAILED:
            return response
        headers: Mapping[str, str] = {
            name: value
            for name, value in response.headers.items()
            if name not in {"content-length", "content-type"}
        }
        detail = bytes(response.body).decode()
        return problem_response(response.status_code, detail, headers=headers)


def middleware(
    settings: Settings, headers: Iterable[str], exposed: Iterable[str]
) -> list[Middleware]:
    """All middleware, in the order that requests pass it.

    Browsers may also send these `headers`, and show pages those that are `exposed`.
    """
    named = [Middleware(KnownHosts, hosts=hosts)] if (hosts := settings.allowed_hosts) else []
    replicated, mark = [], []
    if settings.database_replica_urls:
        replicated, mark = [Middleware(ReadAfterWrite, settings=settings)], [HEADER]
    return [
        Middleware(Carrying),
        Middleware(
            Responses,
            headers=PROTECTION | transport(settings),
            compress_from=settings.compress_from,
        ),
        Middleware(
            CORS,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=[*SENT, correlation.HEADER, *mark, *headers],
            expose_headers=[correlation.HEADER, "ETag", "Link", "Location", *mark, *exposed],
            max_age=600,
        ),
        *replicated,
        Middleware(ErrorBoundary, seconds=settings.request_timeout),
        *named,
        Middleware(BodyLimit, limit=settings.max_body_size),
        Middleware(GeneralMethods),
    ]
