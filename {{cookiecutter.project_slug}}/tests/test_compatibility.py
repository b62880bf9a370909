"""What breaks clients of an older OpenAPI document is named, and nothing else is."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

from app.cli import cli
from app.tools.compatibility import breaking
from tests.small_api import THING, THINGS, Schema, document


def operation(api: Schema, path: str = THINGS, method: str = "post") -> Schema:
    return api["paths"][path][method]


def part(api: Schema, schema: str, *names: str) -> Schema:
    found = api["components"]["schemas"][schema]
    for name in names:
        found = found["properties"][name]
    return found


def rename_path(api: Schema) -> None:
    api["paths"]["/things/{id}"] = item = api["paths"].pop(THING)
    item["get"]["parameters"][0]["name"] = "id"


Change = Callable[[Schema], object]
HARMLESS: dict[str, Change] = {
    "nothing": lambda api: None,
    "a deprecated operation removed": lambda api: api["paths"][THING].pop("delete"),
    "an operation more": lambda api: api["paths"].update({"/more": {"get": {"responses": {}}}}),
    "a parameter more": lambda api: operation(api, THINGS, "get")["parameters"].append(
        {"name": "sort", "in": "query", "schema": {"type": "string"}}
    ),
    "a property more in the body": lambda api: part(api, "New")["properties"].update(more={}),
    "a property more in the response": lambda api: part(api, "Thing")["properties"].update(more={}),
    "a rule less": lambda api: part(api, "New", "size").pop("maximum"),
    "a wider rule": lambda api: part(api, "New", "size").update(maximum=11),
    "a number instead of an integer": lambda api: part(api, "New", "size").update(type="number"),
    "a value more": lambda api: part(api, "New", "state")["enum"].append("sold"),
    "a value more in the response": lambda api: part(api, "Thing", "state")["enum"].append("sold"),
    "never null in the response": lambda api: part(api, "Thing", "note")["anyOf"].pop(),
    "an optional property always there": lambda api: part(api, "Thing")["required"].append("note"),
    "a required property optional": lambda api: part(api, "New")["required"].clear(),
    "another name in the path": rename_path,
    "no longer protected": lambda api: operation(api).pop("security"),
    "another refusal": lambda api: operation(api)["responses"].update({"409": {}}),
}
BREAKING: dict[str, tuple[Change, str]] = {
    "operation": (
        lambda api: api["paths"][THINGS].pop("get"),
        "GET /things: removed without having been deprecated",
    ),
    "path": (
        lambda api: api["paths"].pop(THING),
        "GET /things/{thing_id}: removed without having been deprecated",
    ),
    "name of the operation": (
        lambda api: operation(api).update(operationId="add_thing"),
        "POST /things: clients call it add_thing, no longer create_thing",
    ),
    "authentication": (
        lambda api: operation(api, THINGS, "get").update(security=[{"Key": []}]),
        "GET /things: requires authentication",
    ),
    "permission": (
        lambda api: operation(api)["security"][0].update(
            OAuth2PasswordBearer=["a:b", "things:read"]
        ),
        "POST /things: requires the permission a:b",
    ),
    "scheme": (
        lambda api: operation(api).update(security=[{"Key": []}]),
        "POST /things: no longer accepts OAuth2PasswordBearer",
    ),
    "parameter": (
        lambda api: operation(api, THINGS, "get")["parameters"].clear(),
        "GET /things: refuses the parameter limit",
    ),
    "required parameter": (
        lambda api: operation(api, THINGS, "get")["parameters"].append(
            {"name": "sort", "in": "query", "required": True, "schema": {}}
        ),
        "GET /things: requires the parameter sort",
    ),
    "parameter now required": (
        lambda api: operation(api, THINGS, "get")["parameters"][0].update(required=True),
        "GET /things: requires the parameter limit",
    ),
    "parameter of another type": (
        lambda api: operation(api, THINGS, "get")["parameters"][0].update(
            schema={"type": "string"}
        ),
        "GET /things: the parameter limit may no longer be integer",
    ),
    "parameter in the path": (
        lambda api: operation(api, THING, "get")["parameters"][0]["schema"].update(format="uuid"),
        "GET /things/{thing_id}: the parameter thing_id has the rule format uuid",
    ),
    "body": (
        lambda api: operation(api).pop("requestBody"),
        "POST /things: takes no body any more",
    ),
    "body of another kind": (
        lambda api: operation(api)["requestBody"].update(content={"text/csv": {}}),
        "POST /things: no longer accepts application/json",
    ),
    "a body at all": (
        lambda api: operation(api, THINGS, "get").update(
            requestBody={"required": True, "content": {}}
        ),
        "GET /things: requires a body",
    ),
    "required property": (
        lambda api: part(api, "New")["required"].append("name"),
        "POST /things: the body requires name",
    ),
    "property of the body": (
        lambda api: part(api, "New")["properties"].pop("name"),
        "POST /things: the body may no longer have name",
    ),
    "null": (
        lambda api: part(api, "New", "name")["anyOf"].pop(),
        "POST /things: name in the body may no longer be null",
    ),
    "maximum": (
        lambda api: part(api, "New", "size").update(maximum=9),
        "POST /things: size in the body has the rule maximum 9",
    ),
    "minimum": (
        lambda api: part(api, "New", "size").update(minimum=2),
        "POST /things: size in the body has the rule minimum 2",
    ),
    "length": (
        lambda api: part(api, "New", "name")["anyOf"][0].update(minLength=1),
        "POST /things: name in the body has the rule minLength 1",
    ),
    "pattern": (
        lambda api: part(api, "New", "name")["anyOf"][0].update(allOf=[{"pattern": "x"}]),
        "POST /things: name in the body has the rule pattern x",
    ),
    "what a list may hold": (
        lambda api: part(api, "New", "tags")["items"].update(maxLength=5),
        "POST /things: what tags in the body contains has the rule maxLength 5",
    ),
    "value": (
        lambda api: part(api, "New", "state")["enum"].remove("used"),
        'POST /things: state in the body may no longer be "used"',
    ),
    "only some values": (
        lambda api: part(api, "New", "size").update(enum=[1, 2]),
        "POST /things: size in the body may no longer be any other value",
    ),
    "status": (
        lambda api: operation(api)["responses"].update(
            {"200": operation(api)["responses"].pop("201")}
        ),
        "POST /things: no longer answers 201",
    ),
    "kind of the response": (
        lambda api: operation(api, THINGS, "get")["responses"]["200"].update(content={}),
        "GET /things: no longer answers 200 with application/json",
    ),
    "property of the response": (
        lambda api: part(api, "Thing")["properties"].pop("note"),
        "GET /things/{thing_id}: the response no longer has note",
    ),
    "property that may be missing": (
        lambda api: part(api, "Thing")["required"].remove("size"),
        "GET /things/{thing_id}: the response may be without size",
    ),
    "null in the response": (
        lambda api: part(api, "Thing").update(
            properties=part(api, "Thing")["properties"]
            | {"size": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}
        ),
        "GET /things/{thing_id}: size in the response may be null",
    ),
    "number in the response": (
        lambda api: part(api, "Thing", "size").update(type="number"),
        "GET /things/{thing_id}: size in the response may be number",
    ),
    "format of the response": (
        lambda api: part(api, "Thing", "id").pop("format"),
        "GET /things/{thing_id}: id in the response has the format None, no longer uuid",
    ),
    "what a list in the response holds": (
        lambda api: part(api, "Thing", "size").update(type="string"),
        "GET /things: size in what items in the response contains may be string",
    ),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_breaks_nothing_is_not_named(name: str) -> None:
    old = document()
    HARMLESS[name](new := copy.deepcopy(old))

    assert list(breaking(old, new)) == []


@pytest.mark.parametrize("name", BREAKING)
def test_what_breaks_clients_is_named(name: str) -> None:
    change, text = BREAKING[name]
    old = document()
    change(new := copy.deepcopy(old))

    assert text in list(breaking(old, new))


def test_the_service_is_compatible_with_itself(app: FastAPI) -> None:
    assert list(breaking(app.openapi(), copy.deepcopy(app.openapi()))) == []


def test_a_pull_request_is_told(app: FastAPI, tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    changed = copy.deepcopy(app.openapi())
    del changed["paths"]["/api/v1/users/me"]["patch"]
    old.write_text(json.dumps(app.openapi()), encoding="utf-8")
    new.write_text(json.dumps(changed), encoding="utf-8")

    same = CliRunner().invoke(cli, ["openapi-diff", str(old), str(old)])
    told = CliRunner().invoke(cli, ["openapi-diff", str(old), str(new)])

    assert (same.exit_code, same.output) == (0, "")
    assert told.exit_code == 1
    assert told.output == "PATCH /api/v1/users/me: removed without having been deprecated\n"


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"paths": 1}'])
def test_a_file_that_is_no_document_is_refused(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "document.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")

    done = CliRunner().invoke(cli, ["openapi-diff", str(path), str(path)])

    assert done.exit_code == 2
    assert "isnotanOpenAPIdocument" in re.sub(r"[\s│]", "", done.output)
