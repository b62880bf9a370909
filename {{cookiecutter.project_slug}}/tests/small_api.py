"""The OpenAPI document of a small API."""

from typing import Any

Schema = dict[str, Any]
THINGS, THING = "/things", "/things/{thing_id}"


def schemas() -> Schema:
    """What is created, and what is answered."""
    thing = {
        "type": "object",
        "title": "Thing",
        "required": ["id", "size"],
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "size": {"type": "integer"},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "state": {"enum": ["new", "used"]},
            "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}},
        },
    }
    new = {
        "type": "object",
        "additionalProperties": False,
        "required": ["size"],
        "properties": {
            "size": {"type": "integer", "minimum": 1, "maximum": 10},
            "name": {"anyOf": [{"type": "string", "maxLength": 20}, {"type": "null"}]},
            "state": {"enum": ["new", "used"]},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
    }
    return {"Thing": thing, "New": new}


def document() -> Schema:
    """A small API."""
    one = {"$ref": "#/components/schemas/Thing"}
    page = {"type": "object", "properties": {"items": {"type": "array", "items": one}}}
    limit = {"name": "limit", "in": "query", "required": False, "schema": {"type": "integer"}}
    path = {"name": "thing_id", "in": "path", "required": True, "schema": {"type": "string"}}
    signed_in = [{"OAuth2PasswordBearer": ["things:read"]}]

    def answer(schema: Schema, status: str = "200") -> Schema:
        return {status: {"content": {"application/json": {"schema": schema}}}, "422": {}}

    return {
        "paths": {
            THINGS: {
                "get": {
                    "operationId": "list_things",
                    "parameters": [limit],
                    "responses": answer(page),
                },
                "post": {
                    "operationId": "create_thing",
                    "security": signed_in,
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/New"}}
                        },
                    },
                    "responses": answer(one, "201"),
                },
            },
            THING: {
                "get": {
                    "operationId": "get_thing",
                    "parameters": [path],
                    "security": signed_in,
                    "responses": answer(one),
                },
                "delete": {"operationId": "drop", "deprecated": True, "responses": {"204": {}}},
            },
        },
        "components": {"schemas": schemas()},
    }
