"""The OpenAPI document: FastAPI's own, with the actual error responses."""

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from http import HTTPStatus
from inspect import getdoc
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from app.core.errors import KINDS, MEDIA_TYPE, FieldProblem, Problem
from app.core.feature import Feature, RequestHeader
from app.core.queries import Query
from app.core.security.access import uncounted

SCHEMA = "#/components/schemas/"
VERSION = re.compile(r"/api/(v\d+)/")
REQUIRED = "x-required"
"""In the schema of a parameter that FastAPI would refuse with another status if it required it."""
METHODS = {"get", "put", "post", "delete", "patch"}

ANYWHERE = {500: "Internal error", 503: "A dependency of the service is unavailable"}
SIGNED_IN = {
    401: "The access token is missing or invalid",
    403: "A permission is missing",
}
WRITING = {409: "A concurrent request changed the same data"}
LIMITED = {429: "Too many requests, or attempts: `Retry-After` says when to try again"}
DEPRECATED = {410: "The endpoint was removed on the announced date"}
WITH_PARAMETERS = {422: "The request does not match the schema"}
WITH_BODY = {400: "The body cannot be read", 413: "The body is too large", **WITH_PARAMETERS}


def problems(descriptions: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    """Error responses of an endpoint, for its `responses`."""
    schema = {"$ref": f"{SCHEMA}Problem"}
    return {
        status: {
            "description": description,
            "content": {MEDIA_TYPE: {"schema": schema, "example": example(status)}},
        }
        for status, description in descriptions.items()
    }


def example(status: int) -> dict[str, object]:
    """A problem document of this status."""
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}


def operation_id(route: APIRoute) -> str:
    """The operation's name in generated clients: that of the endpoint, and of its version from the second on."""
    version = VERSION.match(route.path)
    return f"{route.name}_{version[1]}" if version and version[1] != "v1" else route.name


def install(app: FastAPI, features: Sequence[Feature]) -> None:
    """Extend the document that FastAPI generates."""
    write = app.openapi

    def complete() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = with_schemes(with_queries(write(), app), features)
            app.openapi_schema = with_problems(document, app, features)
        return app.openapi_schema

    app.openapi = complete


def with_queries(document: dict[str, Any], app: FastAPI) -> dict[str, Any]:
    """Describe the parameters that queries read themselves."""
    for route in iter_route_contexts(app.routes):
        if not isinstance(route.original_route, APIRoute) or not route.include_in_schema:
            continue
        for query in queries_of(route.original_route.dependant):
            schema = query.model_json_schema(ref_template=SCHEMA + "{model}")
            for name, named in schema.pop("$defs", {}).items():
                document["components"]["schemas"].setdefault(name, named)
            parameters = [
                {
                    "name": name,
                    "in": "query",
                    "required": name in schema.get("required", ()),
                    "schema": each,
                }
                for name, each in schema["properties"].items()
            ]
            for method in route.methods or ():
                operation = document["paths"][route.path_format][method.lower()]
                operation.setdefault("parameters", []).extend(parameters)
    return document


def queries_of(dependant: Dependant) -> Iterator[type[Query]]:
    """The queries among the dependencies of an endpoint."""
    for part in dependant.dependencies:
        of = getattr(part.call, "__self__", None)
        if isinstance(of, type) and issubclass(of, Query):
            yield of
        yield from queries_of(part)


def scope_text(permission: StrEnum) -> str:
    """`users:read` in words."""
    things, _, action = permission.partition(":")
    return f"{action} {things}".capitalize()


def with_schemes(document: dict[str, Any], features: Sequence[Feature]) -> dict[str, Any]:
    """Describe every way to authenticate, and what each scope means."""
    schemes = [scheme for feature in features for scheme in feature.schemes]
    scopes = {
        item.value: scope_text(item)
        for feature in features
        for kind in feature.permissions
        for item in kind
    }
    described = document["components"].setdefault("securitySchemes", {})
    for scheme in schemes:
        model = scheme.described.model.model_dump(mode="json", by_alias=True, exclude_none=True)
        for flow in model.get("flows", {}).values():
            flow["scopes"] = scopes
        described[scheme.name] = model
    headers = [header for feature in features for header in feature.headers]
    for path in document["paths"].values():
        for method in METHODS & path.keys():
            operation = path[method]
            if "security" in operation:
                asked = next(iter(operation["security"][0].values()))
                operation["security"] = [{scheme.name: asked} for scheme in schemes]
                operation.setdefault("parameters", []).extend(map(parameter_of, headers))
    return document


def parameter_of(header: RequestHeader) -> dict[str, Any]:
    """A header as OpenAPI describes it."""
    return {
        "name": header.name,
        "in": "header",
        "required": False,
        "description": header.description,
        "schema": dict(header.schema),
    }


def with_problems(
    document: dict[str, Any], app: FastAPI, features: Sequence[Feature]
) -> dict[str, Any]:
    """Declare on each operation the errors that any request of its kind can result in."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for model in (Problem, FieldProblem):
        schemas[model.__name__] = model.model_json_schema(ref_template=SCHEMA + "{model}")
        schemas[model.__name__].pop("$defs", None)
    schemas["Problem"]["properties"]["type"]["description"] = types_of_problems()
    signed_in = SIGNED_IN | {status: text for f in features for status, text in f.refusals.items()}
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    limited = LIMITED if any(feature.admissions for feature in features) else {}
    free = {each.path_format for each in iter_route_contexts(app.routes) if is_uncounted(each)}
    for name, path in document["paths"].items():
        for method in METHODS & path.keys():
            of_kind = WRITING if method != "get" else {}
            of_kind |= {} if name in free else limited
            declare(path[method], of_kind, signed_in)
            summarize(path[method])
            for parameter in path[method].get("parameters", []):
                parameter["schema"] = without_null(parameter["schema"])
                if parameter["schema"].pop(REQUIRED, False):
                    parameter["required"] = True
                if "description" in parameter["schema"]:
                    parameter["description"] = parameter["schema"]["description"]
    return document


END_OF_SENTENCE = re.compile(r"(?<!e\.g)(?<!i\.e)\.\s+|\n\s*\n")


def summarize(operation: dict[str, Any]) -> None:
    """Take the first sentence of the docstring as the summary, instead of the function's name."""
    name = re.sub(r"_v\d+\Z", "", operation["operationId"]).replace("_", " ").title()
    if operation["summary"] == name and "description" in operation:
        summary, *rest = END_OF_SENTENCE.split(operation.pop("description"), maxsplit=1)
        operation["summary"] = " ".join(summary.split()).removesuffix(".")
        if rest:
            operation["description"] = rest[0]


def types_of_problems() -> str:
    """What the service can answer with, each with its status and when it occurs, as Markdown."""
    kinds = [f"* `{name}` ({it.status:d}): {getdoc(it)}" for name, it in sorted(KINDS.items())]
    return "`about:blank`, `urn:problem-type:validation-error` or:\n\n" + "\n".join(kinds)


def is_uncounted(route: RouteContext) -> bool:
    """Whether requests to the endpoint count against no limit."""
    return uncounted in getattr(route.original_route, "declared", ())


def without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter without null: an optional parameter is left out instead."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind.get("type") != "null"]
    if len(kinds) != 1:
        return schema
    rest = {name: value for name, value in schema.items() if name != "anyOf" and value is not None}
    return kinds[0] | rest


def declare(operation: dict[str, Any], of_kind: dict[int, str], signed_in: dict[int, str]) -> None:
    """Add the responses implied by the kind and the inputs of the operation."""
    expected = ANYWHERE | of_kind
    if "security" in operation:
        expected |= signed_in
    if "parameters" in operation:
        expected |= WITH_PARAMETERS
    if "requestBody" in operation:
        expected |= WITH_BODY
    if operation.get("deprecated"):
        expected |= DEPRECATED
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
    for status, response in problems(expected).items():
        responses.setdefault(str(status), response)
