"""Sending GraphQL requests."""

import base64
from typing import Any
from uuid import UUID

from httpx2 import AsyncClient, Response

URL = "/graphql"


def filled(query: str, **parts: str) -> str:
    """The query with these parts at the names in square brackets."""
    for name, part in parts.items():
        query = query.replace(f"[{name}]", part)
    return query


async def post(client: AsyncClient, query: str, **variables: object) -> Response:
    """The response to a request."""
    return await client.post(URL, json={"query": query, "variables": variables})


async def ask(client: AsyncClient, query: str, **variables: object) -> Any:  # noqa: ANN401, JSON
    """The data of a response without errors."""
    answer = await post(client, query, **variables)
    assert answer.status_code == 200, answer.text
    assert "errors" not in answer.json(), answer.text
    return answer.json()["data"]


async def refused(client: AsyncClient, query: str, **variables: object) -> list[str]:
    """The types of the problems of a response, without the common prefix."""
    errors = (await post(client, query, **variables)).json()["errors"]
    return [each["extensions"]["type"].removeprefix("urn:problem-type:") for each in errors]


def node_id_of(kind: str, id: UUID | str) -> str:
    """The id of a node, from the type in the schema and the id in REST."""
    return base64.b64encode(f"{kind}:{id}".encode()).decode()


def uuid_in(node_id: str) -> str:
    """The id in REST, from that of a node."""
    return base64.b64decode(node_id).decode().partition(":")[2]


def statements(executed: list[str]) -> int:
    """How many statements were executed, besides those that begin a transaction on SQLite."""
    return sum(not each.startswith("BEGIN") for each in executed)
