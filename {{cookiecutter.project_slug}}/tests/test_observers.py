"""A feature may see every request begin and end."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Form
from httpx2 import AsyncClient
from starlette.types import Receive, Scope, Send

from app.core.db.carried import SERVICE as CARRIED
from app.core.db.session import Database
from app.core.feature import Feature
from app.core.observers import Observer
from app.core.routing import SERVICE, router as new_router
from app.core.security.access import public, signed_in
from app.core.service import Service
from app.core.settings import Settings
from app.installed import FEATURES
from app.main import create_app
from app.service import observed
from conftest import client_over
from tests.inline import serving


class Seen:
    """What an observer was called with."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended: list[tuple[str, str | None, int]] = []

    def begin(self) -> None:
        self.begun += 1

    def end(self, method: str, route: str | None, status: int, seconds: float) -> None:
        assert 0 <= seconds < 60
        self.ended.append((method, route, status))


@asynccontextmanager
async def seeing(service: Service) -> AsyncGenerator[Observer | None]:
    """Sees all requests."""
    yield Seen()


@asynccontextmanager
async def blind(service: Service) -> AsyncGenerator[Observer | None]:
    """It is not configured."""
    yield None


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers everything."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


def extended(settings: Settings) -> FastAPI:
    """The service with routes of all kinds."""
    app = create_app(settings)
    inner = new_router("/things", tag="things", about=SERVICE, prefix="")

    @inner.get("/{name}", dependencies=[public])
    async def read(name: str) -> str:
        return name

    @inner.post("/form", dependencies=[public])
    async def form(name: Annotated[str, Form()]) -> str:
        return name

    @inner.delete("/{name}", dependencies=[signed_in])
    async def delete(name: str) -> None:
        raise AssertionError

    @inner.get("/{name}/bug", dependencies=[public])
    async def bug(name: str) -> None:
        raise ValueError(name)

    outer = new_router("/outer", tag="things", about=SERVICE, prefix="")
    outer.include_router(inner, prefix="/inner")
    app.include_router(inner)
    app.include_router(outer)
    app.mount("/mounted", application)
    return app


@pytest.fixture
async def seen(database: Database, settings: Settings) -> AsyncGenerator[tuple[AsyncClient, Seen]]:
    """A client of that, and what the feature saw."""
    features = (*FEATURES, Feature(observer=blind), Feature(observer=seeing))
    service = serving(database, features=features, observers=[])
    async with observed(service), client_over(extended(settings), service) as client:
        (seen,) = [each for each in service.observers if isinstance(each, Seen)]
        service.observers[:] = [seen]
        yield client, seen


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/things/tea", ("/things/{name}", 200)),
        ("HEAD", "/things/tea", ("/things/{name}", 200)),
        ("GET", "/outer/inner/things/tea", ("/outer/inner/things/{name}", 200)),
        ("POST", "/things/form", ("/things/form", 422)),
        ("DELETE", "/things/tea", ("/things/{name}", 401)),
        ("GET", "/things/tea/bug", ("/things/{name}/bug", 500)),
        ("GET", "/mounted/anything/at/all", ("/mounted", 204)),
        ("GET", "/docs", ("/docs", 200)),
        ("GET", "/things/tea\n", ("/things/{name}", 200)),
        ("GET", "/nowhere/at/all", (None, 404)),
        ("OPTIONS", "/nowhere", (None, 404)),
        ("BREW", "/nowhere", (None, 404)),
    ],
)
async def test_it_sees_the_template_of_the_path(
    seen: tuple[AsyncClient, Seen], method: str, path: str, expected: tuple[str | None, int]
) -> None:
    client, found = seen

    answer = await client.request(method, path.replace("\n", "%0A"))

    assert found.ended == [(method, *expected)]
    assert (found.begun, answer.status_code) == (1, expected[1])


async def test_a_client_that_leaves_is_seen_as_well(
    seen: tuple[AsyncClient, Seen], app: FastAPI, database: Database
) -> None:
    _, found = seen
    service = serving(database, observers=[found])

    async def leave(_: object) -> None:
        raise ConnectionResetError

    async def nothing() -> Any:  # noqa: ANN401, of a receive
        return {"type": "http.request"}

    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/health/live", "headers": []}
    scope |= {"query_string": b"", "root_path": "", "state": {"service": service}}
    with pytest.raises(ConnectionResetError):
        await app(scope, nothing, leave)

    assert [(method, route) for method, route, _ in found.ended] == [("GET", "/health/live")]


async def test_only_a_feature_that_is_configured_observes(database: Database) -> None:
    service: Service = serving(database, features=(Feature(observer=blind),), observers=[])

    async with observed(service):
        assert service.observers == []
    assert database.info[CARRIED].observers == [], "only what serves requests is observed"
