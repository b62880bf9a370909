"""The command `app openapi-diff`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from app.tools.compatibility import breaking

Document = Annotated[Path, typer.Argument(help="As printed by `app openapi`.")]


def compare_documents(old: Document, new: Document) -> None:
    """List changes between two OpenAPI documents that break clients of the old one; fail if there are any."""
    changes = [*breaking(document_in(old), document_in(new))]
    for change in changes:
        typer.echo(change)
    if changes:
        raise typer.Exit(1)


def document_in(path: Path) -> dict[str, Any]:
    """The OpenAPI document in a file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if "openapi" in content and isinstance(content["paths"], dict):
            return content
    except (OSError, ValueError, TypeError, KeyError):
        pass
    raise typer.BadParameter(f"{path} is not an OpenAPI document: make one with `app openapi`")
