"""Every failure is a problem document, wherever it is raised."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Annotated, Literal
from uuid import UUID

import pytest
from fastapi import FastAPI, Form
from httpx2 import ASGITransport, AsyncClient, Response
from pydantic import AnyUrl, AwareDatetime, BaseModel, ConfigDict, EmailStr, Field

from app.core.db.session import Database
from app.core.settings import Settings
from app.main import create_app
from conftest import Account, client_of

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Cat(BaseModel):
    """One of two kinds."""

    kind: Literal["cat"]


class Dog(BaseModel):
    """The other kind."""

    kind: Literal["dog"]


class Kinds(BaseModel):
    """Types whose messages could repeat a value."""

    model_config = ConfigDict(extra="forbid")

    address: EmailStr | None = None
    animal: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    choice: Literal["a", "b"] | None = None
    day: AwareDatetime | None = None
    flag: bool | None = None
    id: UUID | None = None
    link: AnyUrl | None = None
    names: dict[str, int] | None = None
    nothing: None = None
    number: int | None = None


@pytest.fixture(scope="module")
def failing_app(settings: Settings) -> FastAPI:
    """The service with an endpoint that has a bug, and one that takes a body."""
    app = create_app(settings.model_copy(update={"max_body_size": 1000}))

    @app.get("/bug")
    async def bug() -> None:
        raise ValueError("password=hunter2")

    @app.post("/echo")
    async def echo(body: dict[str, str]) -> dict[str, str]:
        return body

    return app


@pytest.fixture
async def failing(
    failing_app: FastAPI, database: Database, settings: Settings
) -> AsyncGenerator[AsyncClient]:
    """A client of that."""
    async with client_of(failing_app, database, settings) as client:
        yield client


async def take_kinds(body: Kinds) -> None:
    """Take a body."""


async def take_form(name: Annotated[str, Form(max_length=3)]) -> None:
    """Take a form."""


@pytest.fixture(scope="module")
def taking_app(settings: Settings) -> FastAPI:
    """The service with endpoints that take bodies, and its usual limits."""
    app = create_app(settings)
    app.add_api_route("/kinds", take_kinds, methods=["POST"])
    app.add_api_route("/form", take_form, methods=["POST"])
    return app


@pytest.fixture
async def taking(taking_app: FastAPI) -> AsyncGenerator[AsyncClient]:
    """A client of that, without a database."""
    async with AsyncClient(transport=ASGITransport(taking_app), base_url="http://test") as client:
        yield client


def assert_problem(answer: Response, status: int) -> None:
    problem = answer.json()
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["type"]
    assert problem["correlation_id"] == answer.headers["X-Correlation-ID"]


async def test_an_unknown_path(client: AsyncClient) -> None:
    assert_problem(await client.get("/nowhere"), 404)


async def test_a_wrong_method(client: AsyncClient) -> None:
    answer = await client.post("/health/live")

    assert_problem(answer, 405)
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


async def test_a_bug_tells_nothing_about_itself(
    failing: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await failing.get("/bug")

    assert_problem(answer, 500)
    assert answer.json()["detail"] == "Something went wrong on our side."
    assert "'event': 'unhandled_exception'" in caplog.text
    assert "hunter2" in caplog.text, "the log has it"
    assert "hunter2" not in answer.text
    assert "ValueError" not in answer.text


async def test_a_body_that_is_no_json(failing: AsyncClient) -> None:
    answer = await failing.post(
        "/echo", content=b'{"a": ', headers={"Content-Type": "application/json"}
    )

    assert_problem(answer, 422)
    assert answer.json()["errors"][0]["pointer"] == ""


async def test_a_body_that_announces_to_be_too_large(failing: AsyncClient) -> None:
    assert_problem(await failing.post("/echo", json={"a": "x" * 2000}), 413)


async def test_a_body_that_turns_out_to_be_too_large(failing: AsyncClient) -> None:
    async def chunks() -> AsyncGenerator[bytes]:
        for _ in range(20):
            yield b"x" * 100
            await asyncio.sleep(0)

    answer = await failing.post(
        "/echo", content=chunks(), headers={"Content-Type": "application/json"}
    )

    assert_problem(answer, 413)


async def test_a_refused_value_is_not_repeated(failing: AsyncClient) -> None:
    answer = await failing.post("/echo", json={"a": {"secret": "hunter2"}})

    assert_problem(answer, 422)
    assert answer.json()["errors"][0]["pointer"] == "/a"
    assert "hunter2" not in answer.text


async def test_a_browser_on_another_website_learns_nothing(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"cors_origins": ["https://shop.example"]}))

    ours = await preflight(app, "https://shop.example")
    theirs = await preflight(app, "https://evil.example")

    assert ours.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert "Access-Control-Allow-Origin" not in theirs.headers
    assert_problem(theirs, 400)
    assert theirs.json()["detail"] == "Disallowed CORS origin"


async def preflight(app: FastAPI, origin: str) -> Response:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        return await client.options(
            "/health/live", headers={"Origin": origin, "Access-Control-Request-Method": "GET"}
        )


def assert_small_problem(answer: Response, status: int) -> None:
    assert_problem(answer, status)
    assert len(answer.content) < 6_000


async def test_twenty_errors_are_listed_and_all_are_counted(taking: AsyncClient) -> None:
    body = json.dumps({f"k{number}": 1 for number in range(60_000)})

    answer = await taking.post("/kinds", content=body, headers=JSON)

    assert_small_problem(answer, 422)
    pointers = [error["pointer"] for error in answer.json()["errors"]]
    assert pointers == [f"/k{number}" for number in range(20)]
    assert answer.json()["error_count"] == 60_000


async def test_no_query_makes_a_long_answer(admin: Account) -> None:
    many = "&".join(f"{number}=" for number in range(9_000))
    for query in (many, "k" * 60_000, "limit=" + "9" * 6_000, "%ff=%ff&%ed%a0%80=%00", "offset="):
        answer = await admin.client.get(f"/api/v1/users?{query}")

        assert_small_problem(answer, 422)


async def test_no_path_makes_a_long_answer(taking: AsyncClient) -> None:
    answer = await taking.get("/" + "x" * 60_000)

    assert_small_problem(answer, 404)


async def test_whatever_a_key_is_it_can_be_pointed_at(taking: AsyncClient) -> None:
    keys = {
        '"a/b~c"': "/names/a~1b~0c",
        '"' + "k" * 900_000 + '"': "/names/" + "k" * 192 + "…",
        r'"\u0000"': "/names/\0",
        r'"\ud800"': None,
    }
    for key, pointer in keys.items():
        body = '{"names": {' + key + ': "x"}}'
        answer = await taking.post("/kinds", content=body, headers=JSON)

        assert_small_problem(answer, 422)
        assert pointer in {None, answer.json()["errors"][0]["pointer"]}


MARK = "‡hunter2"
ODD: dict[str, object] = {
    "address": f"{MARK}@{MARK}.com",
    "animal": {"kind": MARK},
    "choice": MARK,
    "day": MARK,
    "flag": MARK,
    "id": MARK,
    "link": f"http://{MARK}:{MARK}",
    "names": {"a": MARK},
    "number": MARK,
}


@pytest.mark.parametrize("name", ODD)
async def test_no_message_repeats_a_value(taking: AsyncClient, name: str) -> None:
    answer = await taking.post("/kinds", json={name: ODD[name]})

    assert_small_problem(answer, 422)
    assert answer.json()["errors"][0]["pointer"].startswith(f"/{name}")
    assert len(answer.json()["errors"][0]["message"]) > 15
    for piece in (MARK, "‡", "`", "hunter"):
        assert piece not in answer.text


async def test_a_message_that_quotes_nothing_stays_as_it_is(taking: AsyncClient) -> None:
    answer = await taking.post("/kinds", json={"nothing": MARK})

    assert answer.json()["errors"][0]["message"] == "Input should be None"


async def test_what_is_wrong_with_an_address_is_left_out(taking: AsyncClient) -> None:
    answer = await taking.post("/kinds", json={"link": ODD["link"]})

    assert answer.json()["errors"][0]["message"] == "Input should be a valid URL"


async def test_an_address_in_the_path_is_not_repeated_either(admin: Account) -> None:
    answer = await admin.client.get("/api/v1/users/zzz")

    assert answer.json()["errors"][0]["message"] == "Input should be a valid UUID"


UNREADABLE = [b"[" * 100_000, b'{"a":' * 100_000, b'{"number": ' + b"9" * 5_000 + b"}", b'"\xff"']
MISFIT = [b'{"number": NaN}', b'{"number": 1e999}', b'{"number": 1, "number": "x"}', b'"x"', b""]


@pytest.mark.parametrize(
    ("bodies", "status"), [(UNREADABLE, 400), (MISFIT, 422)], ids=["unreadable", "misfit"]
)
async def test_no_body_makes_a_long_answer(
    taking: AsyncClient, bodies: list[bytes], status: int
) -> None:
    for body in bodies:
        assert_small_problem(await taking.post("/kinds", content=body, headers=JSON), status)


async def test_no_form_makes_a_long_answer(taking: AsyncClient) -> None:
    many = "&".join(f"{number}=x" for number in range(100_000))
    repeated = "name=hunter2&" * 900

    for form, status in ((many, 400), (repeated, 422), ("name=%ed%a0%80%00hunter2", 422)):
        answer = await taking.post("/form", content=form, headers=FORM)
        assert_small_problem(answer, status)
        assert "hunter2" not in answer.text
    parts = {f"part {number}": b"hunter2" for number in range(2_000)}
    answer = await taking.post("/form", files=parts)
    assert_small_problem(answer, 400)
    assert "hunter2" not in answer.text


async def test_a_request_of_another_shape_is_told_so(client: AsyncClient) -> None:
    problem = (await client.post("/api/v1/auth/register", json={})).json()

    assert problem["type"] == "urn:problem-type:validation-error"
    assert problem["detail"] == "The request does not match the schema."
