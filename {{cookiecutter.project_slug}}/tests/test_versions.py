"""A second version beside the first: what it keeps, replaces and drops."""

from fastapi import APIRouter, FastAPI

from app.core.db.session import Database
from app.core.routing import SERVICE, router as new_router
from app.core.security.access import public, signed_in
from app.core.settings import Settings
from app.main import create_app
from app.tools.compatibility import breaking
from conftest import Account, client_of
from tests.test_access import assert_declared

ONE, TWO = "/api/v1/things", "/api/v2/things"
ITEM = TWO + "/{thing_id}"


def versions() -> APIRouter:
    """Both versions of a feature."""
    first = new_router("/things", tag="things", about=SERVICE)

    @first.get("", dependencies=[public])
    async def list_things() -> list[str]:
        return ["one"]

    @first.get("/{thing_id}", dependencies=[signed_in])
    async def read_thing(thing_id: int) -> int:
        return thing_id

    @first.delete("/{thing_id}", dependencies=[public])
    async def delete_thing(thing_id: int) -> None: ...

    second = first.version("/api/v2", without=[list_things, delete_thing])

    @second.get("", dependencies=[public])
    async def list_all_things() -> dict[str, list[str]]:
        return {"items": ["one", "two"]}

    both = APIRouter()
    both.include_router(first)
    both.include_router(second)
    return both


def extended(settings: Settings) -> FastAPI:
    """The service with it."""
    app = create_app(settings)
    app.include_router(versions())
    return app


async def test_each_version_answers_for_itself(
    settings: Settings, database: Database, member: Account
) -> None:
    async with client_of(extended(settings), database, settings) as client:
        client.headers["Authorization"] = member.client.headers["Authorization"]
        first, second = [(await client.get(each)).json() for each in (ONE, TWO)]
        kept = [(await client.get(f"{each}/7")).json() for each in (ONE, TWO)]
        deleted = [(await client.delete(f"{each}/7")).status_code for each in (ONE, TWO)]
        del client.headers["Authorization"]
        refused = [(await client.get(f"{each}/7")).status_code for each in (ONE, TWO)]

    assert first == ["one"]
    assert second == {"items": ["one", "two"]}
    assert kept == [7, 7]
    assert deleted == [200, 405]
    assert refused == [401, 401]


def test_both_are_in_the_document_and_the_first_as_it_was(settings: Settings) -> None:
    before, app = create_app(settings), extended(settings)
    document = app.openapi()

    assert document["paths"][ONE]["get"]["operationId"] == "list_things"
    assert document["paths"][ITEM]["get"]["operationId"] == "read_thing_v2"
    assert document["paths"][ITEM].keys() == {"get"}
    assert not list(breaking(before.openapi(), document))
    assert_declared(app)
