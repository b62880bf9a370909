"""Requests built from the OpenAPI document."""

import re
from collections.abc import Iterator
from typing import Any, cast
from uuid import uuid4

from fastapi import FastAPI
from httpx2 import AsyncClient, Response

Schema = dict[str, Any]


class Undocumented(Exception):
    """The document lacks an example that a request needs."""


class Document:
    """The OpenAPI document of an application."""

    def __init__(self, app: FastAPI) -> None:
        self.content: Schema = app.openapi()

    def operations(self) -> Iterator[tuple[str, str, Schema]]:
        """Method, path and description of each operation."""
        for path, methods in self.content["paths"].items():
            for method, operation in methods.items():
                yield method.upper(), path, operation

    def lists(self) -> dict[str, dict[str, Schema]]:
        """The parameters, by name, of each paginated path."""
        gets = {path: each for method, path, each in self.operations() if method == "GET"}
        parameters = {
            path: {item["name"]: item["schema"] for item in each.get("parameters", [])}
            for path, each in gets.items()
        }
        return {path: found for path, found in parameters.items() if "cursor" in found}

    def resolved(self, schema: Schema) -> Schema:
        """The schema, with references resolved."""
        name = schema.get("$ref", "").rpartition("/")[2]
        return self.content["components"]["schemas"][name] | schema if name else schema

    def example(self, schema: Schema, *, other: bool = False) -> object:
        """A documented value, or a similar one: text with its first character doubled."""
        schema = self.resolved(schema)
        if schema.get("format") == "uuid":
            return str(uuid4())
        if "examples" not in schema:
            if "enum" not in schema:
                raise Undocumented(schema)
            return schema["enum"][0]
        example = schema["examples"][0]
        return example[0] + example if other and isinstance(example, str) else example

    def body(self, operation: Schema, *, other: bool = False) -> tuple[str, Schema] | None:
        """Media type and an example of the body of an operation."""
        content: Schema = operation.get("requestBody", {}).get("content", {})
        for media_type, described in content.items():
            schema = self.resolved(described["schema"])
            found: Schema = {}
            for name, item in schema["properties"].items():
                try:
                    found[name] = self.example(item, other=other)
                except Undocumented:
                    if name in schema.get("required", []):
                        raise
            return media_type, found
        return None

    async def create(
        self, client: AsyncClient, url: str, operation: Schema, *, other: bool = False
    ) -> Response:
        """The answer to an example of a request that creates something, and what it refers to."""
        found = self.body(operation, other=other)
        assert found
        body = await self.referring(client, found[1])
        return await client.post(url, json=body, headers={"Idempotency-Key": uuid4().hex})

    async def referring(self, client: AsyncClient, example: Any) -> Any:  # noqa: ANN401, JSON
        """An example whose `..._id` are those of resources that exist."""
        match example:
            case list():
                items = cast("list[Any]", example)
                return [await self.referring(client, each) for each in items]
            case dict():
                fields = cast("Schema", example).items()
                return {k: await self.reference(client, k, v) for k, v in fields}
            case _:
                return example

    async def reference(self, client: AsyncClient, name: str, value: Any) -> Any:  # noqa: ANN401, likewise
        """The id of a resource that exists, if that is what the field is named after."""
        collection = f"/api/v1/{name.removesuffix('_id')}s"
        if not name.endswith("_id") or collection not in self.content["paths"]:
            return await self.referring(client, value)
        items = (await client.get(collection)).json()["items"]
        if items:
            return items[0]["id"]
        made = await self.create(client, collection, self.content["paths"][collection]["post"])
        return made.json()["id"]


async def filled(client: AsyncClient, path: str) -> list[str]:
    """The path with each id from the list before its placeholder; with any id if there is none."""
    found = re.search(r"^(.*?)/(\{(\w+)\})", path)
    if found is None:
        return [path]
    before, placeholder, name = found.groups()
    answer = await client.get(before, params={"limit": 100})
    if answer.status_code != 200:
        return await filled(client, path.replace(placeholder, str(uuid4()), 1))
    items: list[Schema] = answer.json()["items"] if "items" in answer.json() else answer.json()
    ids = [id_of(item, name) for item in items] or [str(uuid4())]
    paths = [path.replace(placeholder, known, 1) for known in ids]
    return [each for known in paths for each in await filled(client, known)]


def id_of(item: Schema, name: str) -> str:
    """The id of an item, or of its subject."""
    if name in item or "id" in item:
        return item.get(name) or item["id"]
    parts: list[Any] = [value for value in item.values() if isinstance(value, dict)]
    return parts[0]["id"]


async def first_cursor(client: AsyncClient, url: str, sort: str) -> str | None:
    """The cursor after the first item of a list, if it has more and is readable."""
    answer = await client.get(url, params={"limit": 1, "sort": sort})
    return answer.json()["next_cursor"] if answer.status_code == 200 else None
