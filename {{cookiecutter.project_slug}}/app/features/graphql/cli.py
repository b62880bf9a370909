"""Command line."""

from pathlib import Path

from graphql import build_schema, find_breaking_changes
from typer import Exit, Typer, echo

from app.features.graphql.schema import core, schema

cli = Typer(name="graphql", no_args_is_help=True, help="Print and compare the GraphQL schema.")


@cli.command("schema")
def print_schema() -> None:
    """Print the schema in the schema definition language."""
    echo(schema.as_str())


@cli.command()
def compare(older: Path) -> None:
    """List what breaks clients of an older schema, printed by `schema`; fails if anything does."""
    changes = find_breaking_changes(build_schema(older.read_text(encoding="utf-8")), core)
    for change in changes:
        echo(f"{change.type.name.lower().replace('_', ' ')}: {change.description}")
    if changes:
        raise Exit(1)
