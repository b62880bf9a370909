"""The OpenAPI document tells the truth."""

from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient


@pytest.fixture
async def operations(client: AsyncClient) -> list[dict[str, Any]]:
    """Every operation that the document declares."""
    document = (await client.get("/api/v1/openapi.json")).json()
    return [operation for path in document["paths"].values() for operation in path.values()]


async def test_it_is_served(client: AsyncClient) -> None:
    document = (await client.get("/api/v1/openapi.json")).json()

    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"]


def test_each_operation_has_a_name_and_a_description(operations: list[dict[str, Any]]) -> None:
    names = [operation["operationId"] for operation in operations]

    assert len(names) == len(set(names))
    assert all(operation["summary"] and operation["description"] for operation in operations)


def test_each_error_is_a_problem_document(operations: list[dict[str, Any]]) -> None:
    for operation in operations:
        errors = [r for status, r in operation["responses"].items() if int(status) >= 400]
        assert errors
        assert all(list(error["content"]) == ["application/problem+json"] for error in errors)


def test_the_document_is_made_once(app: FastAPI) -> None:
    assert app.openapi() is app.openapi()
