"""The OpenAPI document is accurate."""

from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from app.core.openapi import summarize
from conftest import Account, SignIn
from tests.document import Document, filled


@pytest.fixture
async def operations(client: AsyncClient) -> list[dict[str, Any]]:
    """Every operation that the document declares."""
    document = (await client.get("/api/v1/openapi.json")).json()
    return [operation for path in document["paths"].values() for operation in path.values()]


async def test_it_is_served(client: AsyncClient) -> None:
    document = (await client.get("/api/v1/openapi.json")).json()

    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"]


def test_each_operation_has_a_name_and_a_summary(operations: list[dict[str, Any]]) -> None:
    names = [operation["operationId"] for operation in operations]
    summaries = {operation["operationId"]: operation["summary"] for operation in operations}

    assert len(names) == len(set(names))
    assert summaries["read_me"] == "Get the caller's account"
    assert [each for each in summaries.values() if each.endswith(".") or each.istitle()] == []


@pytest.mark.parametrize(
    ("docstring", "summary", "description"),
    [
        ("List pets.", "List pets", None),
        ("List pets.\n\nUp to 100.", "List pets", "Up to 100."),
        ("List pets. Up to 100. Or less.", "List pets", "Up to 100. Or less."),
        ("List all pets\n\nUp to a minute old.", "List all pets", "Up to a minute old."),
        ("List pets, e.g. cats,\nof the caller.", "List pets, e.g. cats, of the caller", None),
    ],
)
@pytest.mark.parametrize("version", ["", "_v2"])
def test_the_first_sentence_of_a_docstring_is_the_summary(
    version: str, docstring: str, summary: str, description: str | None
) -> None:
    operation = {"operationId": f"list_pets{version}", "summary": "List Pets"}

    summarize(operation := operation | {"description": docstring})

    assert operation["summary"] == summary
    assert operation.get("description") == description


def test_a_summary_of_its_own_stays() -> None:
    operation = {"operationId": "list_pets", "summary": "Pets", "description": "List pets."}

    summarize(operation)

    assert operation["summary"] == "Pets"


def test_each_error_is_a_problem_document(operations: list[dict[str, Any]]) -> None:
    for operation in operations:
        errors = [r for status, r in operation["responses"].items() if int(status) >= 400]
        assert errors
        assert all(list(error["content"]) == ["application/problem+json"] for error in errors)


def test_only_what_writes_can_meet_other_writers(operations: list[dict[str, Any]]) -> None:
    by_name = {operation["operationId"]: operation["responses"] for operation in operations}

    assert "409" not in by_name["list_users"]
    assert "409" in by_name["change_me"]


async def test_each_schema_is_used(client: AsyncClient) -> None:
    document = (await client.get("/api/v1/openapi.json")).json()

    for name in document["components"]["schemas"]:
        assert f"'#/components/schemas/{name}'" in str(document), name


async def test_each_schema_has_a_name_of_its_own(client: AsyncClient) -> None:
    """Two classes with one name would be named by their modules, and generators refuse to write both."""
    schemas = (await client.get("/api/v1/openapi.json")).json()["components"]["schemas"]

    assert [name for name in schemas if "__" in name] == []
    titles = [schema["title"] for schema in schemas.values()]
    assert len(titles) == len(set(titles))


async def test_each_type_of_problem_is_explained(client: AsyncClient, admin: Account) -> None:
    document = (await client.get("/api/v1/openapi.json")).json()
    about = document["components"]["schemas"]["Problem"]["properties"]["type"]["description"]
    for answer in (
        await client.get("/api/v1/users/me"),
        await admin.client.get(f"/api/v1/users/{uuid4()}"),
    ):
        assert f"* `{answer.json()['type']}` ({answer.status_code}): " in about


def test_the_document_is_made_once(app: FastAPI) -> None:
    assert app.openapi() is app.openapi()


def test_no_parameter_is_null(operations: list[dict[str, Any]]) -> None:
    """A parameter that is not used is omitted."""
    parameters = [each for operation in operations for each in operation.get("parameters", [])]

    assert parameters
    assert not [each for each in parameters if "null" in str(each["schema"])]


def test_a_page_has_twenty_items_and_a_hundred_at_most(operations: list[dict[str, Any]]) -> None:
    parameters = [each for operation in operations for each in operation.get("parameters", [])]
    limits = [each["schema"] for each in parameters if each["name"] == "limit"]

    assert limits
    for limit in limits:
        assert (limit["default"], limit["minimum"], limit["maximum"]) == (20, 1, 100)


async def test_every_example_is_accepted(app: FastAPI, sign_in: SignIn) -> None:
    """Examples are accepted by their operations, and each body can be built from them."""
    document = Document(app)
    for number, (method, path, operation) in enumerate(document.operations()):
        queries: list[dict[str, Any]] = [
            {parameter["name"]: example}
            for parameter in operation.get("parameters", [])
            for example in parameter["schema"].get("examples", [])
        ]
        media_type, body = document.body(operation) or ("", None)
        if not queries and not body:
            continue
        client = (await sign_in(f"{number}@example.com", "admin")).client
        url = (await filled(client, path))[-1]
        for query in queries:
            assert (await client.request(method, url, params=query)).status_code == 200, query
        if media_type == "application/json":
            answer = await client.request(method, url, json=body)
        else:
            answer = await client.request(method, url, data=body)
        # An unknown token, for example, is another matter.
        assert answer.status_code not in {400, 422} or "errors" not in answer.json(), answer.text
        assert answer.status_code < 500
