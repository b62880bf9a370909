"""The command `app routes`."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import typer
from fastapi import FastAPI, Security
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIWebSocketRoute, RouteContext, iter_route_contexts

from app.core.feature import Feature
from app.core.security.access import anyone, authenticated, calls, public
from app.core.security.mounting import Guarded


class Row(NamedTuple):
    """A route under one of its methods, or an operation within one, and who may call it."""

    path: str
    method: str
    name: str
    access: str
    permissions: list[str]


def row(path: str | None, method: str, name: str | None, access: Any) -> Row:  # noqa: ANN401, as on an endpoint
    """What declares its access as an endpoint does."""
    scopes = [*(getattr(access, "scopes", None) or ())]
    open_to = "public" if access.dependency is anyone else "permission" if scopes else "signed in"
    return Row(path or "/", method, name or "", open_to, scopes)


def row_of(context: RouteContext, method: str) -> Row:
    """A route under this method."""
    route, access = context.original_route, public
    if isinstance(route, APIRoute | APIWebSocketRoute):
        if authenticated in calls(route.dependant):
            access = Security(authenticated, scopes=sorted({*scopes_of(route.dependant)}))
    elif isinstance(app := getattr(route, "app", None), Guarded):
        access = app.mount.access
    return row(context.path, method, context.name, access)


def scopes_of(dependant: Dependant) -> Iterator[str]:
    """The permissions that the dependencies of an endpoint require."""
    for part in dependant.dependencies:
        yield from part.own_oauth_scopes or ()
        yield from scopes_of(part)


def print_routes(app: FastAPI, features: Sequence[Feature], *, as_json: bool) -> None:
    """Print every route, by path and method, as a table or as JSON."""
    contexts = iter_route_contexts(app.routes)
    rows = [row_of(each, method) for each in contexts for method in each.methods or {"*"}]
    rows += [
        row(*each) for feature in features if feature.operations for each in feature.operations()
    ]
    rows.sort()
    if as_json:
        typer.echo(json.dumps([each._asdict() for each in rows], indent=2))
        return
    table = [("METHOD", "PATH", "NAME", "ACCESS")]
    table += [(r.method, r.path, r.name, ", ".join(r.permissions) or r.access) for r in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())
