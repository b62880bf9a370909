"""Requests reach the endpoints that FastAPI's own search would find, at a cost that no other route adds to."""

import asyncio
import re
from typing import Annotated, Any
from uuid import uuid4

import pytest
from fastapi import APIRouter, FastAPI, Form
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute, iter_route_contexts
from httpx2 import ASGITransport, AsyncClient
from starlette.types import Message, Receive, Scope, Send

from app.core.db.session import Database
from app.core.routing import Shortcut
from app.core.settings import Settings
from tests.inline import service_over

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


async def let_in(*_: object) -> None:
    """Everything is admitted."""


def shortcut_of(app: FastAPI) -> Shortcut:
    stack = app.router.middleware_stack
    assert isinstance(stack, Shortcut)
    return stack


def paths_of(app: FastAPI) -> list[str]:
    """Each path with something for each of its parameters, and what is near it."""
    paths = {re.sub(r"{\w+(:\w+)?}", str(uuid4()), route.path or "/") for route in routes_of(app)}
    near = {f"{path}/" for path in paths} | {f"{path}/more" for path in paths}
    above = {path.rpartition("/")[0] for path in paths}
    return sorted(paths | near | above | {"/", "//", "/api", "/api/v1/%2e%2e"})


def routes_of(app: FastAPI) -> list[Any]:
    return list(iter_route_contexts(app.routes))


async def answer(app: FastAPI, scope: Scope) -> tuple[object, ...]:
    """The route that was found, its parameters, and the response."""
    sent: list[Message] = []

    body = iter([b""])

    async def receive() -> Message:
        for part in body:
            return {"type": "http.request", "body": part, "more_body": False}
        return await asyncio.Future()

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    found = [scope.get(key) for key in ("route", "endpoint", "path_params", "router")]
    text = b"".join(message.get("body", b"") for message in sent)
    return *found, sent[0]["status"], re.sub(rb"[0-9a-f]{32}|\d[\d.]*(e[+-]\d+)?", b"", text)


def scope_of(method: str, path: str, root_path: str = "", **state: object) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": root_path + path,
        "raw_path": (root_path + path).encode(),
        "root_path": root_path,
        "query_string": b"",
        "headers": [(b"host", b"test")],
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
        "state": state,
    }


@pytest.mark.parametrize("root_path", ["", "/behind/a/proxy"])
async def test_each_request_gets_the_answer_of_the_search(
    app: FastAPI, database: Database, settings: Settings, root_path: str
) -> None:
    shortcut, service = shortcut_of(app), service_over(database, settings)
    for method, path in [(method, path) for path in paths_of(app) for method in METHODS]:
        ours = await answer(app, scope_of(method, path, root_path, service=service))
        app.router.middleware_stack = shortcut.search
        try:
            theirs = await answer(app, scope_of(method, path, root_path, service=service))
        finally:
            app.router.middleware_stack = shortcut
        assert ours == theirs, f"{method} {path}"


def test_few_routes_are_tried_for_any_path(app: FastAPI) -> None:
    shortcut = shortcut_of(app)
    tried = {path: len(shortcut.candidates(path)) for path in paths_of(app)}

    assert max(tried.values()) <= 8, tried


def test_what_clients_request_does_not_fill_the_memory(app: FastAPI) -> None:
    """Whatever they make up below a route's beginning, with or without a slash at the end."""
    shortcut = Shortcut(app, let_in)
    for path in paths_of(app):
        for _ in range(9):
            shortcut.candidates(path + uuid4().hex)
            shortcut.candidates(f"{path}{uuid4().hex}/")
            shortcut.candidates(path)

    assert len(shortcut.known) <= len(shortcut.routes)


async def test_of_two_routes_the_first_is_found() -> None:
    """Whichever is the more general, at any depth of routers, and of endpoints and mounts."""
    app, inner, outer, mounted = FastAPI(), APIRouter(), APIRouter(), FastAPI()

    def add(place: APIRouter | FastAPI, path: str, name: str) -> None:
        place.add_api_route(path, lambda: name)

    add(outer, "/inner/first", "outer")
    add(inner, "/{name}", "inner")
    add(inner, "/first", "never")
    outer.include_router(inner, prefix="/inner")
    add(outer, "/inner/third", "never")
    add(app, "/outer/inner/second", "app")
    app.include_router(outer, prefix="/outer")
    add(app, "/outer/inner/third", "never")
    add(app, "/mounted/early", "app")
    add(mounted, "/late", "mounted")
    app.mount("/mounted", mounted)
    add(app, "/mounted/late", "never")
    app.router.middleware_stack = Shortcut(app, let_in)

    for path, name in {
        "/outer/inner/first": b"outer",
        "/outer/inner/second": b"app",
        "/outer/inner/third": b"inner",
        "/mounted/early": b"app",
        "/mounted/late": b"mounted",
    }.items():
        assert (await answer(app, scope_of("GET", path)))[-1] == b'"%b"' % name


def test_a_path_of_many_slashes_costs_no_more_than_others(app: FastAPI) -> None:
    shortcut, asked = Shortcut(app, let_in), 0

    class Counting(dict[Any, Any]):
        def get(self, key: Any, default: Any = None) -> Any:  # noqa: ANN401
            nonlocal asked
            asked += 1
            return super().get(key, default)

    vars(shortcut)["routes"] = Counting(shortcut.routes)

    assert shortcut.candidates("/" * 60_000) == []
    assert asked < 2 * shortcut.longest + 10


@pytest.mark.parametrize("limited", ["app", "router", "inclusion", "inner inclusion"])
async def test_what_decides_for_itself_is_left_to_the_search(limited: str) -> None:
    """A route of a class of its own, and a form, where a router limits them."""
    one = {"max_fields": 1}

    def limits(where: str) -> dict[str, Any]:
        return {"form_limits": one} if limited == where else {}

    app, outer, plain = FastAPI(**limits("app")), APIRouter(), APIRouter(**limits("router"))

    class Closed(APIRoute):
        async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
            await PlainTextResponse("closed", 451)(scope, receive, send)

    closed = APIRouter(route_class=Closed)

    @closed.get("/closed")
    async def never() -> str:
        return "never"

    @plain.post("/form")
    async def form(first: Annotated[str, Form()], second: Annotated[str, Form()]) -> str:
        return first + second

    outer.include_router(plain, **limits("inner inclusion"))
    app.include_router(outer, **limits("inclusion"))
    app.include_router(closed)
    app.router.middleware_stack = Shortcut(app, let_in)
    transport = ASGITransport(app)
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/closed")).status_code == 451
        assert (await client.post("/form", data={"first": "a", "second": "b"})).status_code == 400


async def test_a_line_feed_in_a_path_changes_no_endpoint(app: FastAPI) -> None:
    shortcut, scope = shortcut_of(app), scope_of("GET", "/health/live\n")
    app.router.middleware_stack = shortcut.search
    try:
        theirs = await answer(app, scope)
    finally:
        app.router.middleware_stack = shortcut
    assert await answer(app, scope_of("GET", "/health/live\n")) == theirs
