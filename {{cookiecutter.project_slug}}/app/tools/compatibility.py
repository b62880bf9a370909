"""What in a new OpenAPI document breaks the clients of an older one.

Breaking is to accept less, a new rule or one enum value fewer included, and to answer with less. A new operation,
parameter, property or enum value in a response is not: clients ignore what they do not know.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

METHODS = ("get", "put", "post", "delete", "patch")
LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
ANY_TYPE = frozenset({"array", "boolean", "null", "number", "object", "string"})


class Document:
    """An OpenAPI document, whose references can be followed."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content
        # Clients fill in the names of parameters in paths; what they are called is no matter.
        self.paths = {re.sub(r"{[^}]*}", "{}", path): path for path in content["paths"]}

    def operation(self, path: str, method: str) -> dict[str, Any] | None:
        """The operation at this path, whatever its parameters are called."""
        own = self.paths.get(re.sub(r"{[^}]*}", "{}", path))
        return self.content["paths"][own].get(method) if own else None

    def resolved(self, schema: Schema) -> Schema:
        """The schema itself, instead of a reference to it."""
        while "$ref" in schema:
            found: Any = self.content
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            schema = found
        return schema

    def variants(self, schema: Schema) -> list[Schema]:
        """The schemas of which a value fits one."""
        schema = self.resolved(schema)
        parts = schema.get("anyOf") or schema.get("oneOf")
        return [each for part in parts for each in self.variants(part)] if parts else [schema]


def breaking(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Each change that breaks clients, in words; an operation that was deprecated may be removed."""
    before, after = Document(old), Document(new)
    for path, item in old["paths"].items():
        for method in METHODS:
            if method not in item:
                continue
            where = f"{method.upper()} {path}"
            found = after.operation(path, method)
            if found is not None:
                yield from (
                    f"{where}: {text}" for text in changed(before, after, item[method], found)
                )
            elif not item[method].get("deprecated"):
                yield f"{where}: removed without having been deprecated"


def changed(before: Document, after: Document, old: Schema, new: Schema) -> Iterator[str]:
    """What breaks the callers of one operation."""
    if old.get("operationId") != new.get("operationId"):
        yield f"clients call it {new.get('operationId')}, no longer {old.get('operationId')}"
    yield from access(old.get("security", []), new.get("security", []))
    yield from parameters(before, after, old.get("parameters", []), new.get("parameters", []))
    yield from body(before, after, old.get("requestBody"), new.get("requestBody"))
    for status, response in old["responses"].items():
        if not status.startswith("2"):
            continue
        if status not in new["responses"]:
            yield f"no longer answers {status}"
            continue
        known, answered = (each.get("content", {}) for each in (response, new["responses"][status]))
        for kind, media in known.items():
            if kind not in answered:
                yield f"no longer answers {status} with {kind}"
            else:
                schemas = media.get("schema", {}), answered[kind].get("schema", {})
                yield from Comparison(after, before).answer(schemas[1], schemas[0], "the response")


def access(old: Sequence[Schema], new: Sequence[Schema]) -> Iterator[str]:
    """What callers need that they did not."""
    if new and not old:
        yield "requires authentication"
    for alternative in old:
        for scheme, scopes in alternative.items():
            needed = [each[scheme] for each in new if scheme in each]
            if new and not needed:
                yield f"no longer accepts {scheme}"
            elif needed and not any(set(each) <= set(scopes) for each in needed):
                missing = sorted(set(needed[0]) - set(scopes))
                yield f"requires the permission {', '.join(missing)}"


def parameters(
    before: Document, after: Document, old: Sequence[Schema], new: Sequence[Schema]
) -> Iterator[str]:
    """What is refused in the URL and the headers that was accepted."""
    known, found = named(old), named(new)
    for key, parameter in found.items():
        if parameter.get("required") and not known.get(key, {}).get("required"):
            yield f"requires the parameter {parameter['name']}"
    for key, parameter in known.items():
        if key in found:
            schemas = parameter["schema"], found[key]["schema"]
            yield from Comparison(before, after).send(
                *schemas, f"the parameter {parameter['name']}"
            )
        elif parameter["in"] == "query":
            yield f"refuses the parameter {parameter['name']}"


def named(found: Sequence[Schema]) -> dict[tuple[str, str], Schema]:
    """Parameters by place and name; those in the path by their order, as clients fill in the URL."""
    order = iter(range(len(found)))
    return {
        (each["in"], str(next(order)) if each["in"] == "path" else each["name"].lower()): each
        for each in sorted(found, key=lambda each: each["in"] != "path")
    }


def body(
    before: Document, after: Document, old: Schema | None, new: Schema | None
) -> Iterator[str]:
    """What is refused in the body that was accepted."""
    if new is None:
        if old:
            yield "takes no body any more"
        return
    old = old or {"content": {}}
    if new.get("required") and not old.get("required"):
        yield "requires a body"
    for media, content in old["content"].items():
        if media not in new["content"]:
            yield f"no longer accepts {media}"
        else:
            schemas = content.get("schema", {}), new["content"][media].get("schema", {})
            yield from Comparison(before, after).send(*schemas, "the body")


class Comparison:
    """Whether all values of one document's schema fit that of another: requests the new one, responses the old one."""

    def __init__(self, inner: Document, outer: Document) -> None:
        self.inner = inner
        self.outer = outer
        self.compared: set[tuple[int, int]] = set()

    def pairs(self, inner: Schema, outer: Schema) -> Iterator[tuple[Schema, Schema | None]]:
        """Each variant of the inner schema, and the one of the outer schema with the same type."""
        outers = self.outer.variants(outer)
        for each in self.inner.variants(inner):
            fitting = [other for other in outers if types(each) <= types(other)]
            same = [other for other in fitting if other.get("title") == each.get("title")]
            yield each, next(iter(same or fitting), None)

    def seen(self, inner: Schema, outer: Schema) -> bool:
        """Whether these were compared already: schemas may contain themselves."""
        key = id(inner), id(outer)
        if key in self.compared:
            return True
        self.compared.add(key)
        return False

    def send(self, old: Schema, new: Schema, at: str) -> Iterator[str]:
        """What clients send that is refused."""
        for each, found in self.pairs(old, new):
            if found is None:
                yield f"{at} may no longer be {kind(each)}"
            elif not self.seen(each, found):
                yield from rules(each, found, at)
                known, accepted = each.get("properties", {}), found.get("properties", {})
                for name in sorted(set(found.get("required", ())) - set(each.get("required", ()))):
                    yield f"{at} requires {name}"
                for name, schema in known.items():
                    if name in accepted:
                        yield from self.send(schema, accepted[name], f"{name} in {at}")
                    elif found.get("additionalProperties") is False:
                        yield f"{at} may no longer have {name}"
                for inside in ("items", "additionalProperties"):
                    if isinstance(each.get(inside), dict) and isinstance(found.get(inside), dict):
                        yield from self.send(each[inside], found[inside], f"what {at} contains")

    def answer(self, new: Schema, old: Schema, at: str) -> Iterator[str]:
        """What clients are answered that they do not expect."""
        for each, found in self.pairs(new, old):
            if found is None:
                yield f"{at} may be {kind(each)}"
            elif not self.seen(each, found):
                answered, known = each.get("properties", {}), found.get("properties", {})
                if each.get("format") != found.get("format"):
                    yield f"{at} has the format {each.get('format')}, no longer {found.get('format')}"
                for name, schema in known.items():
                    if name not in answered:
                        yield f"{at} no longer has {name}"
                    else:
                        if name in found.get("required", ()) and name not in each.get(
                            "required", ()
                        ):
                            yield f"{at} may be without {name}"
                        yield from self.answer(answered[name], schema, f"{name} in {at}")
                for inside in ("items", "additionalProperties"):
                    if isinstance(each.get(inside), dict) and isinstance(found.get(inside), dict):
                        yield from self.answer(each[inside], found[inside], f"what {at} contains")


def types(schema: Schema) -> frozenset[str]:
    """The JSON types of a schema's values; an integer is a number too."""
    found = schema.get("type")
    if found is None:
        values = [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else [])]
        return frozenset(map(type_of, values)) or ANY_TYPE | {"integer"}
    listed = frozenset([found] if isinstance(found, str) else found)
    return listed | {"integer"} if "number" in listed else listed


def type_of(value: object) -> str:
    """The JSON type of a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case _:
            return "string"


def kind(schema: Schema) -> str:
    """What a client would call these values."""
    found = types(schema)
    found -= {"integer"} if "number" in found else set[str]()
    return "anything" if found == ANY_TYPE else " or ".join(sorted(found))


def rules(old: Schema, new: Schema, at: str) -> Iterator[str]:
    """The rules that a value must follow and need not have."""
    for name in (*LOWER, *UPPER):
        if name in new:
            stricter = max if name in LOWER else min
            if name not in old or stricter(old[name], new[name]) != old[name]:
                limit = int(new[name]) if float(new[name]).is_integer() else new[name]
                yield f"{at} has the rule {name} {limit}"
    for pattern in sorted(patterns(new) - patterns(old)):
        yield f"{at} has the rule pattern {pattern}"
    if "format" in new and new["format"] != old.get("format"):
        yield f"{at} has the rule format {new['format']}"
    allowed = values_of(new)
    if allowed is not None:
        refused = sorted((values_of(old) or {"any other value"}) - allowed)
        if refused:
            yield f"{at} may no longer be {', '.join(refused)}"


def patterns(schema: Schema) -> set[str]:
    """The patterns that a text must match."""
    parts = [schema, *schema.get("allOf", ())]
    return {part["pattern"] for part in parts if "pattern" in part}


def values_of(schema: Schema) -> set[str] | None:
    """The only possible values, as JSON, if they are listed."""
    if "enum" in schema:
        return {json.dumps(value) for value in schema["enum"]}
    return {json.dumps(schema["const"])} if "const" in schema else None
