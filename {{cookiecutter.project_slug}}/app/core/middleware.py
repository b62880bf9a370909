"""The middleware of every request, in the order of `middleware`; plain ASGI, which costs least."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from logging import INFO
from time import perf_counter
from typing import cast

from fastapi import Request
from fastapi.middleware.cors import CORSMiddleware
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core import correlation
from app.core.carriers import begun, carrying
from app.core.errors import Unavailable, problem_response, render
from app.core.logging import access_log
from app.core.protection import PROTECTION, KnownHosts, transport
from app.core.routing import GeneralMethods, is_quiet
from app.core.settings import Settings

READ_AT_MOST = 8
"""How many times the limit of an oversized body is read, for clients that send before they read."""
READ_SECONDS = 5.0
"""How long reading it may take."""

FAILED = 400
"""The lowest status that is not a success."""


SENT = ("Authorization", "Content-Type", "If-Match", "If-None-Match")
"""The headers that pages of other origins may send, besides those of features."""
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
    """Adds the headers that every response has, its id among them, and logs one line for each request, but successful probes.

    Never its query or headers, which may hold secrets.
    """

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self.app = app
        self.headers = [(name.lower().encode(), text.encode()) for name, text in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        log = access_log()
        started, status = perf_counter(), 0
        added = scope[HEADERS] = dict[bytes, bytes]()
        ended = scope[ENDED] = list[Callable[[], None]]()

        async def complete(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])  # an HTTPStatus is logged by name
                identity = (correlation.NAME, (correlation.correlation_id.get() or "").encode())
                given = [*message.get("headers", ()), identity, *added.items()]
                names = dict(given)
                message["headers"] = given + [each for each in self.headers if each[0] not in names]
            await send(message)

        try:
            await self.app(scope, receive, complete)
        finally:
            for act in ended:
                act()
            if log.is_enabled_for(INFO) and not (is_quiet(scope) and 0 < status < FAILED):
                log.info(
                    "request",
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    duration_ms=round((perf_counter() - started) * 1000, 2),
                    client=scope["client"][0] if scope.get("client") else None,
                )


class Carrying:
    """Each request starts with a context of its own, which has an id and an address, but no user."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with carrying(begun(scope)):
            await self.app(scope, receive, send)


class TooSlow(Unavailable):
    """The request was not answered in time; what it did was rolled back, unless it was being committed."""

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
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
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
                deadline.cancel()
            await send(message)

        # `asyncio.timeout` does the same for three times the price, which every request would pay.
        deadline = asyncio.get_running_loop().call_later(self.seconds, stop)
        try:
            try:
                await self.app(scope, receive, note_start)
            except asyncio.CancelledError:
                if not late or task.uncancel() > 0:
                    raise
                raise TooSlow from None
            finally:
                deadline.cancel()
        except Exception as error:
            if started:
                raise
            response = await render(Request(scope), error)
            await response(scope, receive, send)


class BodyLimit:
    """Refuse a body of more than `limit` bytes, announced or not.

    A connection closed with unread bytes is reset, and a client that sends everything before it reads
    would never see the response. So the rest of the body is read first, within limits.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        announced = headers.get(b"content-length", b"")
        if announced.isdigit() and int(announced) > self.limit:
            # Reading would invite a client that asks first (`Expect: 100-continue`) to send.
            read = b"expect" not in headers and int(announced) <= READ_AT_MOST * self.limit
            raise self.refusal(close=not (read and await self.drain(receive, 0)))
        received = 0

        async def count() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.limit:
                ended = not message.get("more_body") or await self.drain(receive, received)
                raise self.refusal(close=not ended)
            return message

        await self.app(scope, count, send)

    async def drain(self, receive: Receive, received: int) -> bool:
        """Read and discard the rest; returns whether the body ended within the limits."""
        with suppress(TimeoutError):
            async with asyncio.timeout(READ_SECONDS):
                while received <= READ_AT_MOST * self.limit:
                    message = await receive()
                    received += len(message.get("body", b""))
                    if not message.get("more_body"):
                        return True
        return False

    def refusal(self, *, close: bool) -> HTTPException:
        """The error to raise; FastAPI lets no other exception escape from reading a body."""
        headers = {"Connection": "close"} if close else None
        return HTTPException(413, f"The body is larger than {self.limit} bytes.", headers)


class CORS(CORSMiddleware):
    """Cross-origin rules whose refusals are problem documents too."""

    async def simple_response(
        self, scope: Scope, receive: Receive, send: Send, request_headers: Headers
    ) -> None:
        """Answer any other request; the response to one that no browser sent differs by one header."""
        if "origin" in request_headers:
            await super().simple_response(scope, receive, send, request_headers)
        else:
            add_headers(scope, {"Vary": "Origin"})
            await self.app(scope, receive, send)

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
    return [
        Middleware(Carrying),
        Middleware(Responses, headers=PROTECTION | transport(settings)),
        Middleware(
            CORS,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=[*SENT, correlation.HEADER, *headers],
            expose_headers=[correlation.HEADER, "ETag", "Link", "Location", *exposed],
            max_age=600,
        ),
        Middleware(ErrorBoundary, seconds=settings.request_timeout),
        *named,
        Middleware(BodyLimit, limit=settings.max_body_size),
        Middleware(GeneralMethods),
    ]
