"""Requests reach the endpoints that FastAPI's own search would find, at a cost that no other route adds to."""

import asyncio
import re
from typing import Any
from uuid import uuid4

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import iter_route_contexts
from starlette.types import Message, Scope

from app.core.db.session import Database
from app.core.routing import Shortcut
from app.core.settings import Settings
from tests.inline import service_over

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


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
    app.router.middleware_stack = Shortcut(app)

    for path, name in {
        "/outer/inner/first": b"outer",
        "/outer/inner/second": b"app",
        "/outer/inner/third": b"inner",
        "/mounted/early": b"app",
        "/mounted/late": b"mounted",
    }.items():
        assert (await answer(app, scope_of("GET", path)))[-1] == b'"%b"' % name
