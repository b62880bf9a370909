"""What the other routes cost: calls to a route of this project, and to an application that has only that route.

Requests carry no token, so that most are refused before any work, and the search for the route has its largest
share. Prints JSON.
"""

import asyncio
import gc
import json
import re
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

from app.core import logging
from app.core.observing import has_form
from app.core.service import Service
from app.core.settings import Settings
from app.main import create_app
from app.service import running
from fastapi import FastAPI
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

CALLS = 50
SOME_ID = "019a0000-0000-7000-8000-000000000000"


def endpoints(app: FastAPI) -> list[RouteContext]:
    """The routes that features declare."""
    every = iter_route_contexts(app.routes)
    return [each for each in every if isinstance(each.original_route, APIRoute)]


def chosen(routes: Sequence[RouteContext]) -> dict[str, RouteContext]:
    """Routes at different places among all, and one with a form."""
    return {
        "first": routes[0],
        "middle": routes[len(routes) // 2],
        "last": routes[-1],
        "deepest": max(routes, key=lambda each: (each.path or "").count("/")),
        "form": next(each for each in routes if has_form(each)),
    }


def only(route: RouteContext, settings: Settings) -> FastAPI:
    """The same application without the other routes."""
    app = create_app(settings)
    app.router.routes[:] = [route.original_route]
    return app


async def call(app: FastAPI, scope: dict[str, Any]) -> int:
    """One request; its status."""
    status = 0
    messages = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> dict[str, Any]:
        return next(messages, {"type": "http.disconnect"})

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)

    await app({**scope, "state": dict(scope["state"])}, receive, send)
    return status


async def seconds(app: FastAPI, scope: dict[str, Any]) -> float:
    """Processor time of one request, over some."""
    before = time.process_time()
    for _ in range(CALLS):
        await call(app, scope)
    return (time.process_time() - before) / CALLS


def request(route: RouteContext, service: Service) -> dict[str, Any]:
    """A request to this route."""
    path = re.sub(r"\{.*?\}", SOME_ID, route.path or "")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": min(route.methods or ()),
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {"service": service},
    }


async def main(rounds: int) -> None:
    """Measure both alternately."""
    settings = Settings()
    logging.configure(settings)
    found: list[dict[str, Any]] = []
    async with running(settings, work=False) as service:
        every = create_app(settings)
        routes = endpoints(every)
        for place, route in chosen(routes).items():
            scope = request(route, service)
            alone = only(route, settings)
            status = await call(every, scope)
            assert status == await call(alone, scope), route.path
            gc.collect()
            gc.freeze()
            pairs = [
                (await seconds(alone, scope), await seconds(every, scope)) for _ in range(rounds)
            ]
            found.append(
                {
                    "place": place,
                    "name": f"{scope['method']} {route.path}",
                    "status": status,
                    "microseconds": statistics.median(ours for _, ours in pairs) * 1e6,
                    "ratio": statistics.median(theirs / ours for theirs, ours in pairs),
                }
            )
    print(json.dumps({"count": len(routes), "routes": found}))


asyncio.run(main(int(sys.argv[1])))
