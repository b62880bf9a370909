"""Sending GraphQL requests."""

from typing import Any

from httpx2 import AsyncClient, Response

URL = "/graphql"


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
