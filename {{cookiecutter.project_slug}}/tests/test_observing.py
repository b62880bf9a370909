"""A dependency sees the finished response before the commit, and may answer instead of the endpoint."""

from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Form, Request, Response
from httpx2 import AsyncClient
from sqlalchemy import func, select

from app.core.db.session import Database, SessionDep, reading
from app.core.errors import Conflict
from app.core.observing import Answered, Observing, before_commit
from app.core.openapi import problems
from app.core.routing import SERVICE, router as new_router
from app.core.security.access import public
from app.core.settings import Settings
from app.features.users.models import Role
from app.main import create_app
from conftest import client_of

URL = "/api/v1/things"


class Objection(Conflict):
    """What an observer objects to."""


async def observe(request: Request, database: Database) -> None:
    """Do what the query says."""
    what = request.url.query
    if what == "answer":
        raise Answered(Response("from the dependency", 203, {"X-Seen": "never"}))

    async def see(response: Response) -> None:
        if what == "refuse":
            raise Objection("no")
        body = bytes(response.body).decode()
        async with reading(database) as other:
            known = await other.scalar(select(func.count()).where(Role.name == "observed"))
        response.headers["X-Seen"] = f"{response.status_code} {body} {known}"

    before_commit(request.scope, see)


@pytest.fixture
def observed(settings: Settings, committed_db: Database) -> FastAPI:
    """The service with an observed endpoint."""

    async def watch(request: Request) -> None:
        await observe(request, committed_db)

    things = new_router("/things", tag="things", about=SERVICE)
    observing = Observing(watch, scope="function", responses=problems({418: "Observed"}))

    @things.post("", dependencies=[public, observing])
    async def write(session: SessionDep) -> str:
        role = Role(name="observed")
        role.permissions = []
        session.add(role)
        await session.flush()
        return "written"

    app = create_app(settings)
    app.include_router(things)
    app.include_router(things.version("/api/v2"))
    return app


async def written(database: Database) -> int:
    """How many rows the endpoint has written."""
    async with reading(database) as session:
        return (
            await session.scalar(
                select(func.count()).select_from(Role).where(Role.name == "observed")
            )
            or 0
        )


@pytest.fixture
async def caller(observed: FastAPI, committed_db: Database, settings: Settings) -> AsyncClient:
    """A client of it."""
    return client_of(observed, committed_db, settings)


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_the_response_is_seen_before_the_commit(
    caller: AsyncClient, committed_db: Database, version: str
) -> None:
    answer = await caller.post(URL.replace("v1", version))

    assert answer.json() == "written"
    assert answer.headers["X-Seen"] == '200 "written" 0'
    assert await written(committed_db) == 1


async def test_an_observer_that_objects_rolls_back(
    caller: AsyncClient, committed_db: Database
) -> None:
    answer = await caller.post(f"{URL}?refuse")

    assert (answer.status_code, answer.json()["type"]) == (409, "urn:problem-type:objection")
    assert await written(committed_db) == 0


async def test_a_dependency_answers_instead_of_the_endpoint(
    caller: AsyncClient, committed_db: Database
) -> None:
    answer = await caller.post(f"{URL}?answer")

    assert (answer.status_code, answer.text) == (203, "from the dependency")
    assert answer.headers["X-Correlation-ID"]
    assert await written(committed_db) == 0


async def test_the_document_names_what_it_may_refuse(caller: AsyncClient) -> None:
    document: Any = (await caller.get("/api/v1/openapi.json")).json()

    assert "418" in document["paths"][URL]["post"]["responses"]


def test_a_form_cannot_be_observed() -> None:
    things = new_router("/things", tag="things", about=SERVICE)

    async def watch() -> None:
        """See nothing."""

    async def read(name: Annotated[str, Form()]) -> str:
        return name

    with pytest.raises(TypeError, match="could not read its form"):
        things.post("/form", dependencies=[public, Observing(watch)])(read)
