"""Every endpoint declares who may call it, and refuses all others."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute, APIWebSocketRoute, iter_route_contexts
from httpx2 import AsyncClient
from starlette.routing import Mount

from app.core.db.session import Database, get_read_session, get_session
from app.core.db.slots import Slots
from app.core.routing import SERVICE, About, Mount as MountOf, router as new_router
from app.core.security.access import anyone, authenticated, calls, public
from app.core.security.mounting import Guarded
from app.core.settings import Environment, Settings
from app.installed import FEATURES
from app.main import create_app
from conftest import Account, SignIn, client_of
from tests.document import Document

METHODS = {"get", "post", "put", "patch", "delete"}


def test_no_connection_is_taken_before_the_caller_is_admitted(app: FastAPI) -> None:
    """A caller who is refused, or who waits for the counters, keeps no other from the database."""
    found = 0
    for context in iter_route_contexts(app.routes):
        if isinstance(context.original_route, APIRoute):
            order = list(calls(context.original_route.dependant))
            first = [n for n, each in enumerate(order) if each in {anyone, authenticated}]
            taking = [n for n, each in enumerate(order) if each in {get_session, get_read_session}]
            found += len(taking)
            assert not taking or min(first) < min(taking), context.path

    assert found


@pytest.mark.parametrize("environment", [Environment.LOCAL, Environment.PRODUCTION])
def test_every_endpoint_says_who_may_call_it_and_whose_rows_it_reaches(
    settings: Settings, environment: Environment
) -> None:
    assert_declared(create_app(settings.model_copy(update={"environment": environment})))


def assert_declared(app: FastAPI) -> None:
    """Every endpoint, WebSocket and mounted application says so."""
    found = 0
    others: list[str | None] = []
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute | APIWebSocketRoute):
            found += 1
            asked = set(calls(route.dependant))
            asked |= {each.dependency for each in getattr(route, "declared", ())}
            assert (anyone in asked) != (authenticated in asked), context.path
        if isinstance(route, APIRoute):
            made_by = "make its router with app.core.routing.router"
            assert isinstance(getattr(route, "about", None), About), f"{context.path}: {made_by}"
        elif isinstance(route, Mount):
            assert isinstance(route.app, Guarded), context.path
        elif not isinstance(route, APIWebSocketRoute):
            others.append(context.path)

    assert found > 20
    assert others == [app.openapi_url]  # the framework's own


async def test_a_public_mount_admits_everyone(settings: Settings, database: Database) -> None:
    app = create_app(settings)
    app.mount("/open", Guarded(MountOf("/open", PlainTextResponse("open"), public, SERVICE)))

    async with client_of(app, database, settings) as client:
        assert (await client.get("/open/")).text == "open"


def test_what_says_neither_is_noticed() -> None:
    app, plain = FastAPI(), APIRouter()
    plain.add_api_route("/plain", anyone)
    plain.add_api_websocket_route("/live", anyone)
    for router in (plain, new_router("/x", tag="x", about=SERVICE)):
        router.add_api_route("/open", anyone)
        app.include_router(router)

    with pytest.raises(AssertionError):
        assert_declared(app)


def operations(app: FastAPI) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation of the OpenAPI document."""
    for path, item in app.openapi()["paths"].items():
        for method in METHODS & item.keys():
            yield method, path, item[method]


def filled(path: str, operation: dict[str, Any], known: dict[str, str]) -> str:
    """The path with ids: known ones by their name, else one that does not exist."""
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            name = parameter["name"]
            path = path.replace("{" + name + "}", known.get(name, str(uuid4())))
    return path


def is_for_members(operation: dict[str, Any]) -> bool:
    """Whether every registered user may do it, so that the id is not owned by one of them."""
    everybody = {permission.value for f in FEATURES for permission in f.member_permissions}
    scopes = {scope for need in operation["security"] for kind in need.values() for scope in kind}
    return bool(scopes) and scopes <= everybody


async def test_without_a_token_nothing_is_shown(app: FastAPI, client: AsyncClient) -> None:
    for method, path, operation in operations(app):
        if "security" in operation:
            answer = await client.request(method, filled(path, operation, {}))
            assert answer.status_code == 401, (method, path)


async def ids(account: Account, collection: str) -> list[str]:
    """The items that a client finds in a collection."""
    answer = await account.client.get(collection)
    found = re.findall(r'"(?:id|user_id)":"([0-9a-f-]{36})"', answer.text)
    return found if answer.status_code == 200 else []


async def with_ids_of(document: Document, victim: Account, thief: Account, path: str) -> str:
    """The path, with ids that the victim sees, and the thief does not unless all members may."""
    filled = collection = ""
    for segment in path.removeprefix("/").split("/"):
        chosen = segment
        if segment.startswith("{"):
            if not await ids(victim, filled):
                creation = document.content["paths"][collection]["post"]
                await document.create(victim.client, filled, creation)
            shown = is_for_members(document.content["paths"][collection]["get"])
            hidden: set[str] = set() if shown else set(await ids(thief, filled))
            known = [found for found in await ids(victim, filled) if found not in hidden]
            assert known, f"nothing that is the victim's in {filled}"
            chosen = known[0]
        filled += f"/{chosen}"
        collection += f"/{segment}"
    return filled


async def test_with_an_id_of_another_user_nothing_is_shown_or_changed(
    app: FastAPI, member: Account, sign_in: SignIn
) -> None:
    """Each operation with an id in its path, called by a member with the ids of an administrator."""
    admin = await sign_in("victim@example.com", "admin")
    await admin.client.post("/api/v1/auth/forgot-password", json={"email": admin.email})
    sessions = (await admin.client.get("/api/v1/auth/sessions")).json()
    tried = 0
    for method, path, operation in operations(app):
        if "{" in path and not is_for_members(operation):
            url = await with_ids_of(Document(app), admin, member, path)
            answer = await member.client.request(method, url, json={})
            assert answer.status_code in {403, 404}, (method, path, answer.text)
            tried += 1

    assert tried >= 8
    assert (await admin.client.get("/api/v1/users/me")).json()["is_active"]
    assert (await admin.client.get("/api/v1/auth/sessions")).json() == sessions


@pytest.mark.parametrize("word", ["Bearer", "Basic abc", "bearer", "Bearer  x y", "Token x"])
async def test_a_strange_header_is_no_token(client: AsyncClient, word: str) -> None:
    answer = await client.get("/api/v1/users/me", headers={"Authorization": word})

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_the_document_names_the_scopes(app: FastAPI) -> None:
    document = app.openapi()
    scheme = next(iter(document["components"]["securitySchemes"].values()))

    assert scheme["flows"]["password"]["tokenUrl"] == "/api/v1/auth/login"
    assert scheme["flows"]["password"]["scopes"]["users:read"] == "Read users"
    listing = document["paths"]["/api/v1/users"]["get"]
    assert listing["security"] == [{"OAuth2PasswordBearer": ["users:read"]}]


async def test_no_request_waits_for_a_connection_while_it_holds_one(
    app: FastAPI, committed_admin: Account, committed_db: Database, settings: Settings
) -> None:
    """With a single connection, every operation still gets an answer."""
    alone = replace(committed_db, slots=Slots(1, 1.0))
    async with client_of(app, alone, settings) as client:
        client.headers = committed_admin.client.headers
        last = sorted(operations(app), key=lambda each: "logout" in each[1] or "/me" in each[1])
        for method, path, operation in last:
            if "security" in operation and (method, path) != ("delete", "/api/v1/users/me"):
                answer = await client.request(method, filled(path, operation, {}))
                assert answer.status_code != 503, (method, path)
