"""Queries that read their parameters themselves, beside FastAPI's own way."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Query as Parameters, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from httpx2 import ASGITransport, AsyncClient
from pydantic import Field

from app.core.openapi import with_queries
from app.core.queries import Query
from app.core.schemas import Line


class Things(Query):
    """Parameters of each kind."""

    size: int = Field(3, ge=1, le=9, description="How many")
    name: Annotated[Line | None, Field(max_length=5)] = None
    tags: list[str] = Field([])
    states: frozenset[int] | None = Field(None, alias="state")
    exact: bool


@pytest.fixture(scope="module")
def both() -> FastAPI:
    """The same model, read in both ways."""
    app = FastAPI()

    @app.get("/ours")
    async def ours(query: Annotated[Things, Depends(Things.requested)]) -> Things:
        return query

    @app.get("/theirs")
    async def theirs(query: Annotated[Things, Parameters()]) -> Things:
        return query

    @app.get("/below/{path:path}")
    async def below(path: str, query: Annotated[Things, Depends(Things.requested)]) -> Things:
        return query

    @app.exception_handler(RequestValidationError)
    async def report(_: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse(
            [{name: str(value) for name, value in fault.items()} for fault in error.errors()], 422
        )

    return app


@pytest.mark.parametrize(
    "query",
    [
        "exact=1",
        "exact=true&size=9&name=%20ab%20",
        "exact=no&tags=a&tags=b&state=1&state=2&state=1",
        "exact=1&tags=&name=",
        "exact=1&size=2&size=4",
        "",
        "exact=1&size=0&name=abcdef",
        "exact=1&size=&state=x&state=2",
        "exact=maybe&other=1",
        "exact=1&other=1",
        "exact=1&name=%00",
        "exact=1&states=2",
        "exact=%ff&name=%F0%9F%8D%B5",
    ],
)
async def test_parameters_are_read_as_by_fastapi(both: FastAPI, query: str) -> None:
    async with AsyncClient(transport=ASGITransport(both), base_url="http://test") as client:
        ours = await client.get(f"/ours?{query}")
        theirs = await client.get(f"/theirs?{query}")

    assert ours.status_code == theirs.status_code
    assert ours.json() == theirs.json()


def test_parameters_are_documented_as_by_fastapi(both: FastAPI) -> None:
    """But for the default of what is left out, which is no value that a client could send."""
    paths = with_queries(both.openapi(), both)["paths"]
    ours, theirs = (paths[path]["get"]["parameters"] for path in ("/ours", "/theirs"))
    below = paths["/below/{path}"]["get"]["parameters"]
    assert [each["name"] for each in below] == ["path", *(each["name"] for each in ours)]
    for each in ours:
        if each["schema"].get("default", each) is None:
            del each["schema"]["default"]

    assert [plain(each) for each in ours] == [plain(each) for each in theirs]


def plain(parameter: dict[str, Any]) -> dict[str, Any]:
    """It without the description, which the whole document takes from the schema."""
    return {name: value for name, value in parameter.items() if name != "description"}
