"""What the reference says of the service, as JSON; run it in the environment of the template's own tree."""

import json
import sys
import types
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import annotated_types
import app.core.outbound.sending  # noqa: F401, the first call imports its metrics
import app.main as web
import typer
from app.cli import cli
from app.core.configuration import variable
from app.core.events import Event
from app.core.settings import FAULTS, Environment, Settings, faults_of
from app.installed import FEATURES, SETTINGS
from fastapi.routing import APIRoute, iter_route_contexts
from prometheus_client import REGISTRY
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from sqlalchemy import URL

from tools.reference import drawn, failures

WORDS = {
    bool: "`true` or `false`",
    int: "a whole number",
    float: "a number",
    str: "text",
    SecretStr: "a secret",
    Path: "a path",
    URL: "a database URL",
    Callable: "a dotted path",
    list: "a list, separated by commas",
    tuple: "rates, separated by commas, or `off`",
}
METHODS = {"DELETE", "GET", "PATCH", "POST", "PUT"}


def kind_of(annotation: Any) -> str:
    """The type of a setting, in words."""
    origin = get_origin(annotation)
    if origin in {Union, types.UnionType}:
        return kind_of(next(each for each in get_args(annotation) if each is not types.NoneType))
    if origin is Annotated:
        return kind_of(get_args(annotation)[0])
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return either(annotation)
    found = next((kind for kind in (annotation, origin) if kind in WORDS), Callable)
    return WORDS[found]


def either(kind: type[Enum]) -> str:
    """The values of an enumeration: `a`, `b` or `c`."""
    *others, last = (f"`{each.value}`" for each in kind)
    return " or ".join(filter(None, [", ".join(others), last]))


def bounds_of(field: FieldInfo) -> dict[str, Any]:
    """What restricts a setting."""
    limits = (annotated_types.Ge, annotated_types.Gt, annotated_types.Le, annotated_types.MinLen)
    found: dict[str, Any] = {}
    for each in field.metadata:
        if isinstance(each, limits):
            ((name, value),) = vars_of(each).items()
            found[name] = value
    return found


def vars_of(limit: Any) -> dict[str, Any]:
    """The one field of a limit."""
    return {name: getattr(limit, name) for name in type(limit).__dataclass_fields__}


def settings() -> Iterator[dict[str, Any]]:
    """Every setting, by class."""
    for kind in SETTINGS:
        yield {
            "module": kind.__module__,
            "fields": {
                variable(kind, name): {"kind": kind_of(field.annotation), **bounds_of(field)}
                for name, field in kind.model_fields.items()
            },
            "several": list(kind().faults_of_several(Settings())),
        }


def refusals() -> dict[str, list[str]]:
    """What staging and production refuse; `missing` is what they refuse of the defaults."""
    bare = Settings().model_copy(update={"environment": Environment.PRODUCTION})
    return {"all": [text for _, text in FAULTS], "missing": faults_of(bare, FAULTS)}


def commands() -> Iterator[dict[str, Any]]:
    """Every command, in the order of the help."""

    def within(command: Any, path: list[str]) -> Iterator[dict[str, Any]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield {
                "name": " ".join(path),
                "help": command.help,
                "module": command.callback.__module__,
                "parameters": [parameter_of(each) for each in command.params],
            }
        else:
            for name, each in inner.items():
                yield from within(each, [*path, name])

    yield from within(typer.main.get_command(cli), ["app"])


def parameter_of(parameter: Any) -> dict[str, Any]:
    """An argument or option of a command."""
    default = parameter.default
    shown = default is not None and default is not False and not callable(default)
    return {
        "names": list(parameter.opts) if parameter.param_type_name == "option" else [],
        "metavar": (parameter.metavar or parameter.name).upper(),
        "help": getattr(parameter, "help", None) or "",
        "default": str(default) if shown else None,
        "required": bool(parameter.required),
        "flag": bool(getattr(parameter, "is_flag", False)),
        "several": bool(getattr(parameter, "multiple", False)) or parameter.nargs == -1,
        "environment": getattr(parameter, "envvar", None),
        "asked": bool(getattr(parameter, "prompt", None)),
    }


def operations(app: Any) -> Iterator[dict[str, Any]]:
    """Every operation, as the OpenAPI document describes it, and the endpoints that it does not."""
    document = app.openapi()
    for route in iter_route_contexts(app.routes):
        original = route.original_route
        for method in sorted(METHODS & {*(getattr(route, "methods", None) or ())}):
            described = document["paths"].get(route.path_format, {}).get(method.lower())
            if described is None and not isinstance(original, APIRoute):
                continue
            endpoint = original.endpoint
            yield {
                "method": method,
                "path": route.path_format,
                "module": endpoint.__module__,
                "about": (endpoint.__doc__ or "").strip().partition("\n")[0],
                **(described or {"outside": True}),
            }


def metrics() -> dict[str, dict[str, str]]:
    """The metrics, as Prometheus sees them."""
    families = [
        each for each in REGISTRY.collect() if not each.name.startswith(("process_", "python_"))
    ]
    return {
        f"{each.name}_total" if each.type == "counter" else each.name: {
            "type": each.type,
            "help": each.documentation,
        }
        for each in families
    }


def descendants(kind: type) -> Iterator[type]:
    """All classes that derive from it."""
    for each in kind.__subclasses__():
        yield each
        yield from descendants(each)


def events() -> Iterator[dict[str, Any]]:
    """Every event, its fields, and who listens."""
    for kind in descendants(Event):
        if not hasattr(kind, "name"):
            continue
        yield {
            "name": kind.name,
            "class": kind.__name__,
            "version": kind.version,
            "module": kind.__module__,
            "about": kind.__doc__,
            "fields": {name: shown(field) for name, field in kind.model_fields.items()},
            "listeners": [
                {
                    "module": each.handle.__module__,
                    "about": each.handle.__doc__,
                    "after_commit": each.after_commit,
                }
                for feature in FEATURES
                for each in feature.listeners
                if issubclass(kind, each.event)
            ],
        }


def shown(field: FieldInfo) -> str:
    """The type of a field of an event."""
    kind = field.annotation
    if isinstance(kind, type) and issubclass(kind, Enum):
        return either(kind)
    return f"`{getattr(kind, '__name__', kind)}`"


def main() -> None:
    """Print all of them."""
    app = web.create_app()
    found = {
        "settings": list(settings()),
        "refusals": refusals(),
        "commands": list(commands()),
        "operations": list(operations(app)),
        "metrics": metrics(),
        "events": list(events()),
        "problems": list(failures.problems(app)),
        "drawn": drawn.facts(),
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
