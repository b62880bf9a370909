"""Deprecated endpoints announce their end in every response, and are gone after it."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
from fastapi import FastAPI
from fastapi.params import Depends
from httpx2 import AsyncClient
from starlette.requests import HTTPConnection

from app.core.db.session import Database
from app.core.deprecation import deprecated
from app.core.routing import SERVICE, router as new_router
from app.core.security.access import public, signed_in
from app.core.settings import Settings
from app.main import create_app
from conftest import client_of

SINCE = datetime(2026, 3, 1, tzinfo=UTC)
SOON = datetime.now(UTC).replace(microsecond=0) + timedelta(days=400)
PAST = datetime(2026, 6, 1, 12, tzinfo=UTC)
SUCCESSOR = "/api/v2/things"


@pytest.fixture(scope="module")
def app_with_old(settings: Settings) -> FastAPI:
    """The service with endpoints that are deprecated, or gone."""
    router = new_router("/things", tag="things", about=SERVICE)
    until = deprecated(since=SINCE, sunset=SOON, successor=SUCCESSOR)
    over = deprecated(since=SINCE, sunset=PAST, successor=SUCCESSOR)

    @router.get("/old", dependencies=[public, until])
    async def read_old(number: int = 1) -> int:
        return number

    @router.get("/older", dependencies=[signed_in, until])
    async def read_older() -> None: ...

    @router.get("/kept", dependencies=[public, deprecated(since=SINCE)])
    async def read_kept() -> None: ...

    @router.get("/gone", dependencies=[signed_in, over])
    async def read_gone() -> None:
        raise AssertionError

    @router.get("/new", dependencies=[public])
    async def read_new() -> None: ...

    app = create_app(settings)
    app.include_router(router)
    return app


@pytest.fixture
async def client(
    app_with_old: FastAPI, database: Database, settings: Settings
) -> AsyncGenerator[AsyncClient]:
    """A client of it."""
    async with client_of(app_with_old, database, settings) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "status"), [("/old", 200), ("/old?number=x", 422), ("/older", 401)]
)
async def test_every_response_announces_it(client: AsyncClient, path: str, status: int) -> None:
    response = await client.get(f"/api/v1/things{path}")

    assert response.status_code == status
    assert response.headers["Deprecation"] == f"@{int(SINCE.timestamp())}"
    assert response.headers["Sunset"].endswith(" GMT")
    assert parsedate_to_datetime(response.headers["Sunset"]) == SOON
    assert response.headers["Link"] == f'<{SUCCESSOR}>; rel="successor-version"'


async def test_without_a_date_it_stays(client: AsyncClient) -> None:
    response = await client.get("/api/v1/things/kept")

    assert response.status_code == 200
    assert response.headers["Deprecation"] == f"@{int(SINCE.timestamp())}"
    assert not {"sunset", "link"} & set(response.headers)


async def test_after_the_date_it_is_gone_for_everyone(client: AsyncClient) -> None:
    response = await client.get("/api/v1/things/gone")

    assert response.status_code == 410
    assert response.json()["type"] == "urn:problem-type:gone"
    assert response.json()["detail"] == (
        f"This endpoint was removed on 2026-06-01. Use {SUCCESSOR} instead."
    )
    assert response.headers["Sunset"] == "Mon, 01 Jun 2026 12:00:00 GMT"


async def test_others_announce_nothing(client: AsyncClient) -> None:
    response = await client.get("/api/v1/things/new")

    assert not {"deprecation", "sunset", "link"} & set(response.headers)


async def test_a_websocket_opens_without_announcing_it() -> None:
    connection = HTTPConnection({"type": "websocket", "headers": []})

    assert isinstance(until := deprecated(since=SINCE), Depends)
    assert until.dependency
    assert await until.dependency(connection) is None


def test_the_document_shows_it(app_with_old: FastAPI) -> None:
    paths = app_with_old.openapi()["paths"]
    marked = {path: paths[path]["get"].get("deprecated") for path in paths if "/things/" in path}

    assert marked == {
        "/api/v1/things/old": True,
        "/api/v1/things/older": True,
        "/api/v1/things/kept": True,
        "/api/v1/things/gone": True,
        "/api/v1/things/new": None,
    }
    assert "410" in paths["/api/v1/things/old"]["get"]["responses"]
    assert "410" not in paths["/api/v1/things/new"]["get"]["responses"]


@pytest.mark.parametrize(
    ("since", "sunset"),
    [
        (datetime(2026, 1, 1), None),  # noqa: DTZ001
        (SINCE, datetime(2028, 1, 1)),  # noqa: DTZ001
        (SINCE, SINCE),
        (SINCE, SINCE - timedelta(1)),
    ],
)
def test_dates_that_make_no_sense_are_refused(since: datetime, sunset: datetime | None) -> None:
    with pytest.raises(ValueError, match="times with a zone, the sunset after"):
        deprecated(since=since, sunset=sunset)
