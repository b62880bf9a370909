"""Command line."""

from pathlib import Path
from typing import Annotated

from graphql import GraphQLError, GraphQLSchema, build_schema, find_breaking_changes
from typer import Argument, BadParameter, Exit, Typer, echo

from app.features.graphql.schema import core, schema

cli = Typer(name="graphql", no_args_is_help=True, help="Print and compare the GraphQL schema.")


@cli.command("schema")
def print_schema() -> None:
    """Print the schema in the schema definition language."""
    echo(schema.as_str())


@cli.command()
def compare(older: Annotated[Path, Argument(help="A schema printed earlier.")]) -> None:
    """List changes that break clients of an older schema; fail if there are any."""
    changes = find_breaking_changes(schema_in(older), core)
    for change in changes:
        echo(f"{change.type.name.lower().replace('_', ' ')}: {change.description}")
    if changes:
        raise Exit(1)


def schema_in(path: Path) -> GraphQLSchema:
    """The schema in a file."""
    try:
        return build_schema(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, GraphQLError, TypeError) as error:
        raise BadParameter(f"{path} is not a schema: {error}") from error
