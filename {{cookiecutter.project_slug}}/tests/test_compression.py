"""Large responses are compressed for those who accept it; secrets never are."""

import gzip
import json
import re
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from httpx2 import AsyncClient
from pydantic import TypeAdapter

from app.core.compression import accepts
from app.core.db.session import Database
from app.core.settings import Settings
from app.main import create_app
from conftest import Account, client_of

ROLES = "/api/v1/roles?limit=100"
DOCUMENT = "/api/v1/openapi.json"
GZIP = {"Accept-Encoding": "gzip"}
SECRET = re.compile(r'"(\w*(?:token|secret|password)\w*)": {')


async def raw(client: AsyncClient, path: str, **headers: str) -> tuple[dict[str, str], bytes]:
    """The headers and the bytes as they were sent."""
    async with client.stream("GET", path, headers=headers) as answer:
        return dict(answer.headers), b"".join([part async for part in answer.aiter_raw()])


async def test_a_large_response_is_compressed_for_those_who_accept_it(client: AsyncClient) -> None:
    plain, text = await raw(client, DOCUMENT, **{"Accept-Encoding": "identity"})
    small, body = await raw(client, DOCUMENT, **{"Accept-Encoding": "br, gzip"})

    assert "content-encoding" not in plain
    assert small["content-encoding"] == "gzip"
    assert "Accept-Encoding" in small["vary"]
    assert "Accept-Encoding" in plain["vary"]
    assert int(small["content-length"]) == len(body) < len(text) / 4
    assert gzip.decompress(body) == text


@pytest.mark.parametrize("path", [DOCUMENT, ROLES])
async def test_a_head_request_is_answered_with_the_same_headers_but_its_size(
    settings: Settings, database: Database, admin: Account, path: str
) -> None:
    eager = create_app(settings.model_copy(update={"compress_from": 1}))
    async with client_of(eager, database, settings) as client:
        client.headers = admin.client.headers
        head, get = [await client.request(each, path, headers=GZIP) for each in ("HEAD", "GET")]

    assert get.headers["content-encoding"] == head.headers["content-encoding"] == "gzip"
    assert "content-length" not in head.headers


async def test_a_page_of_another_origin_gets_the_same(
    settings: Settings, client: AsyncClient
) -> None:
    origin = {"Origin": settings.cors_origins[0] if settings.cors_origins else "http://localhost"}
    plain, _ = await raw(client, DOCUMENT, **origin, **{"Accept-Encoding": "identity"})
    small, _ = await raw(client, DOCUMENT, **origin, **GZIP)

    assert "Accept-Encoding" in plain["vary"]
    assert small["content-encoding"] == "gzip"


async def test_a_small_response_is_not(admin: Account) -> None:
    headers, _ = await raw(admin.client, "/api/v1/users/me", **GZIP)

    assert "content-encoding" not in headers


async def test_one_with_an_entity_tag_is_not(
    settings: Settings, database: Database, admin: Account
) -> None:
    eager = create_app(settings.model_copy(update={"compress_from": 1}))
    async with client_of(eager, database, settings) as client:
        client.headers = admin.client.headers
        new: dict[str, Any] = {"name": "courier", "description": "x" * 200, "permissions": []}
        created = (await client.post("/api/v1/roles", json=new)).json()
        tagged, _ = await raw(client, f"/api/v1/roles/{created['id']}", **GZIP)
        listed, _ = await raw(client, ROLES, **GZIP)

    assert tagged["etag"]
    assert "content-encoding" not in tagged
    assert listed["content-encoding"] == "gzip"


async def test_nothing_is_where_a_proxy_does(settings: Settings, database: Database) -> None:
    off = create_app(settings.model_copy(update={"compress_from": 0}))
    async with client_of(off, database, settings) as client:
        headers, _ = await raw(client, DOCUMENT, **GZIP)

    assert "content-encoding" not in headers


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        (b"gzip", True),
        (b"deflate, GZIP;q=0.5, br", True),
        (b"gzip ; q=1.0", True),
        (b"gzip;q=0", False),
        (b"br, gzip;q=0.000", False),
        (b"gzipped", False),
        (b"x-gzip", False),
        (b"br", False),
        (b"", False),
        (b"gzip;q=high", False),
    ],
)
def test_what_clients_accept_is_read(header: bytes, accepted: bool) -> None:
    assert accepts(header) is accepted


def test_responses_with_secrets_are_confidential(app: FastAPI) -> None:
    shown: dict[str, list[str]] = {}
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and route.response_model and not vars(route)["confidential"]:
            schema = TypeAdapter[Any](route.response_model).json_schema(mode="serialization")
            shown[route.path] = SECRET.findall(json.dumps(schema))

    assert len(shown) > 10
    assert {path: found for path, found in shown.items() if found} == {}
