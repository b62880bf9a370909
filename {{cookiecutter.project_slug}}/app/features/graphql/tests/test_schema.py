"""The schema says who may read each field, and what REST shows it shows too."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLNonNull,
    GraphQLObjectType,
    build_schema,
    is_introspection_type,
    is_object_type,
)
from typer.testing import CliRunner

from app.core.security.access import anyone, authenticated
from app.features.graphql.cli import cli
from app.features.graphql.fields import Access
from app.features.graphql.schema import core, schema
from app.features.graphql.settings import GraphQLSettings


def object_types() -> Iterator[GraphQLObjectType]:
    """The types of the schema that have fields."""
    for kind in core.type_map.values():
        if is_object_type(kind) and not is_introspection_type(kind):
            yield kind


def resolved() -> Iterator[tuple[str, str, Any]]:
    """Each field that a function resolves, with its type and its declaration."""
    for kind in object_types():
        known: Any = schema.get_type_by_name(kind.name)
        for found in known.fields:
            name = schema.config.name_converter.from_field(found)
            if found.base_resolver is not None and name not in {"id", "uuid"}:
                yield kind.name, name, found


def test_every_field_says_who_may_read_it() -> None:
    found = list(resolved())
    for kind, name, declared in found:
        access = [each for each in declared.extensions if isinstance(each, Access)]
        assert len(access) == 1, f"{kind}.{name}: declare it with app.features.graphql.fields.field"
        assert access[0].access.dependency in {anyone, authenticated}, f"{kind}.{name}"

    assert len(found) > 25


def test_what_is_refused_leaves_the_rest_of_the_response() -> None:
    for kind, name, _ in resolved():
        shown = next(each for each in object_types() if each.name == kind)
        assert not isinstance(shown.fields[name].type, GraphQLNonNull), f"{kind}.{name}"


def test_everything_is_described() -> None:
    for kind in object_types():
        assert kind.name in {"Query", "Mutation"} or kind.description, kind.name
    for kind, name, declared in resolved():
        assert declared.description, f"{kind}.{name}"


def test_the_public_fields_are_those_of_strangers() -> None:
    public = {
        f"{kind}.{name}"
        for kind, name, declared in resolved()
        if declared.extensions[0].access.dependency is anyone
    }

    assert public == {"Query.node", "Mutation.login", "Mutation.refresh"}


def test_the_schema_is_printed() -> None:
    printed = CliRunner().invoke(cli, ["schema"])

    assert printed.exit_code == 0
    assert build_schema(printed.stdout).query_type
    assert "type User implements Node" in printed.stdout


def test_the_same_schema_breaks_no_client(tmp_path: Path) -> None:
    older = tmp_path / "older.graphql"
    older.write_text(schema.as_str(), encoding="utf-8")

    assert CliRunner().invoke(cli, ["compare", str(older)]).exit_code == 0


def test_what_breaks_clients_is_named(tmp_path: Path) -> None:
    older = tmp_path / "older.graphql"
    text = schema.as_str().replace("  isActive: Boolean!", "  isActive: Boolean!\n  shoeSize: Int")
    older.write_text(text, encoding="utf-8")

    compared = CliRunner().invoke(cli, ["compare", str(older)])

    assert compared.exit_code == 1
    assert compared.stdout == "field removed: Field User.shoeSize was removed.\n"


@pytest.mark.parametrize("text", [None, "type Query {", "type Query { a: Missing }"])
def test_what_is_no_schema_is_reported(tmp_path: Path, text: str | None) -> None:
    older = tmp_path / "older.graphql"
    if text is not None:
        older.write_text(text, encoding="utf-8")

    compared = CliRunner().invoke(cli, ["compare", str(older)])

    assert compared.exit_code == 2
    assert "is not a schema" in " ".join(compared.output.replace("│", " ").split())


def test_limits_are_settings() -> None:
    assert GraphQLSettings(max_depth=3).max_depth == 3
    assert hash(GraphQLSettings()) != hash(GraphQLSettings(max_depth=3))
