"""The OpenAPI document: FastAPI's own, with every error response as it really is."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from app.core.errors import MEDIA_TYPE, FieldProblem, Problem

SCHEMA = "#/components/schemas/"
METHODS = {"get", "put", "post", "delete", "patch"}

ANYWHERE = {500: "A bug", 503: "Something that the service depends on is away"}
SIGNED_IN = {
    401: "The access token is missing or not valid",
    403: "A permission is missing",
    # {% if cookiecutter.multi_tenancy == "row" %}
    404: "You are no member of a tenant with this id",
    # {% endif %}
}
WRITING = {409: "Another request changed the same at the same moment"}
WITH_PARAMETERS = {422: "The request does not match the schema"}
WITH_BODY = {400: "The body cannot be read", 413: "The body is too large", **WITH_PARAMETERS}


def problems(descriptions: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    """Error responses of an endpoint, for its `responses`."""
    content = {MEDIA_TYPE: {"schema": {"$ref": f"{SCHEMA}Problem"}}}
    return {
        status: {"description": description, "content": content}
        for status, description in descriptions.items()
    }


def operation_id(route: APIRoute) -> str:
    """Names for generated clients: the endpoint's own."""
    return route.name


def install(app: FastAPI, permissions: Iterable[type[StrEnum]]) -> None:
    """Complete the document that FastAPI writes; permissions are its OAuth2 scopes."""
    scopes = {item.value: scope_text(item) for kind in permissions for item in kind}
    write = app.openapi

    def complete() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = with_scopes(with_problems(write()), scopes)
        return app.openapi_schema

    app.openapi = complete


def scope_text(permission: StrEnum) -> str:
    """`users:read` in words."""
    things, _, action = permission.partition(":")
    return f"{action} {things}".capitalize()


def with_scopes(document: dict[str, Any], scopes: dict[str, str]) -> dict[str, Any]:
    """Say what each scope means."""
    for scheme in document["components"].get("securitySchemes", {}).values():
        scheme["flows"]["password"]["scopes"] = scopes
    return document


def with_problems(document: dict[str, Any]) -> dict[str, Any]:
    """Declare on each operation the errors that any request of its kind can meet."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for model in (Problem, FieldProblem):
        schemas[model.__name__] = model.model_json_schema(ref_template=SCHEMA + "{model}")
        schemas[model.__name__].pop("$defs", None)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path in document["paths"].values():
        for method in METHODS & path.keys():
            declare(path[method], WRITING if method != "get" else {})
            for parameter in path[method].get("parameters", []):
                parameter["schema"] = without_null(parameter["schema"])
                if "description" in parameter["schema"]:
                    parameter["description"] = parameter["schema"]["description"]
    return document


def without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """What a parameter can be: one that may be `None` can be left out, and never says null."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind.get("type") != "null"]
    if len(kinds) != 1:
        return schema
    return {**kinds[0], **{name: value for name, value in schema.items() if name != "anyOf"}}


def declare(operation: dict[str, Any], of_method: dict[int, str]) -> None:
    """Add the responses that follow from the method and from what the operation takes."""
    expected = ANYWHERE | of_method
    if "security" in operation:
        expected |= SIGNED_IN
    if "parameters" in operation:
        expected |= WITH_PARAMETERS
    if "requestBody" in operation:
        expected |= WITH_BODY
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
    for status, response in problems(expected).items():
        responses.setdefault(str(status), response)
