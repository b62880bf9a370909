"""The problems that the service answers with, each with an example; a part of `facts`."""

import ast
import importlib
import inspect
import json
import pkgutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import app
from app.core import errors
from app.core.correlation import correlation_id
from app.core.errors import Failure
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import TypeAdapter, ValidationError

SOME_ID = UUID("01988f2e-5a7b-7c31-9d0e-3f6a1b2c4d5e")
SAMPLES: dict[str, Any] = {
    "action": "pay",
    "destination": "payments",
    "kind": "product",
    "minutes": 20,
    "missing": "users:write",
    "most": 20,
    "name": "editor",
    "names": {"editor"},
    "product": SimpleNamespace(name="Kettle", stock=3, sku="KET-1"),
    "product_id": SOME_ID,
    "seconds": 10,
    "sku": "KET-1",
    "skus": "KET-1",
    "state": "cancelled",
    "successor": "/api/v2/users",
    "sunset": datetime(2027, 6, 30, tzinfo=UTC),
    "version": 4,
    "what": "tenants",
}
"""Arguments of failures in the examples, by name."""
OWN = {"TooManyRequests": {"what": "requests"}, "JobNotDead": {"state": "done"}}
"""Likewise, where another is clearer."""
TESTING = {"isinstance", "issubclass", "suppress"}


class UnexplainedError(Exception):
    """An example cannot be built."""


def import_all() -> None:
    """Import every module of the service, so that every failure is known; some are imported only when needed."""
    for each in pkgutil.walk_packages(app.__path__, "app."):
        if "tests" not in each.name.split(".") and not each.name.endswith("__main__"):
            importlib.import_module(each.name)


def descendants(kind: type[Failure]) -> Iterator[type[Failure]]:
    """All failures of the service that derive from it."""
    for each in kind.__subclasses__():
        if each.__module__.startswith("app.") and ".tests" not in each.__module__:
            yield each
            yield from descendants(each)


def trees() -> Iterator[ast.AST]:
    """The modules of the service, without its tests."""
    for path in sorted(Path(app.__path__[0]).rglob("*.py")):
        if "tests" not in path.parts:
            yield ast.parse(path.read_text(encoding="utf-8"))


def raised() -> tuple[set[str], dict[str, str]]:
    """The names of what is raised or created somewhere, and the first message that is a plain text."""
    names: set[str] = set()
    said: dict[str, str] = {}
    for tree in trees():
        for node in ast.walk(tree):
            values: list[Any] = []
            if isinstance(node, ast.Raise):
                values = [node.exc]
            elif isinstance(node, ast.Dict):
                values = node.values
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") not in TESTING:
                values = [node.func, *node.args]
                texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
                for text in (text for text in texts if isinstance(text, str)):
                    said.setdefault(getattr(node.func, "id", ""), text)
            names |= {each.id for each in values if isinstance(each, ast.Name)}
    return names, said


def invalid() -> ValidationError:
    """An error of pydantic."""
    try:
        TypeAdapter(dict[str, int]).validate_python({"quantity": "many"})
    except ValidationError as error:
        return error
    raise UnexplainedError("validation")


def example(kind: type[Failure], said: dict[str, str]) -> Failure:
    """A failure of this kind."""
    positional: list[Any] = []
    for name, parameter in list(inspect.signature(kind.__init__).parameters.items())[1:]:
        if parameter.kind is parameter.VAR_KEYWORD or parameter.kind is parameter.KEYWORD_ONLY:
            continue
        own = OWN.get(kind.__name__, {})
        if name in own:
            positional.append(own[name])
        elif name in {"detail", "reason"}:
            positional.append(said.get(kind.__name__, "it is malformed"))
        elif name == "error":
            positional.append(invalid())
        elif name in SAMPLES:
            positional.append(SAMPLES[name])
        else:
            raise UnexplainedError(f"{kind.__name__}: add a sample of {name} to SAMPLES")
    return kind(*positional)


def paths(service: Any) -> dict[str, str]:
    """A path of each feature, for the examples."""
    found: dict[str, str] = {}
    for route in iter_route_contexts(service.routes):
        if isinstance(route.original_route, APIRoute) and "{" not in route.path_format:
            feature = ".".join(route.original_route.endpoint.__module__.split(".")[:3])
            found.setdefault(feature, route.path_format)
    return found


def request_of(path: str) -> Any:
    """As much of a request as a document says of it."""
    return SimpleNamespace(scope={"path": path})


def problems(service: Any) -> Iterator[dict[str, Any]]:
    """Every problem, with what defines it and an example."""
    import_all()
    correlation_id.set("01988f2e5a7b7c319d0e3f6a1b2c4d5e")
    at = paths(service)
    names, said = raised()
    for kind in descendants(Failure):
        if kind.__module__ == errors.__name__ or kind.__name__ not in names:
            continue
        failure = example(kind, said)
        path = at.get(".".join(kind.__module__.split(".")[:3]), "/api/v1/users/me")
        response = errors.failure_response(request_of(path), failure)
        yield {
            "type": errors.problem_type(kind),
            "module": kind.__module__,
            "about": inspect.getdoc(kind),
            "status": int(kind.status),
            "headers": dict(failure.headers),
            "keeps_work": kind.keeps_work,
            "example": json.loads(bytes(response.body)),
        }
    document = errors.problem_document(
        422,
        "The request does not match the schema.",
        instance="/api/v1/auth/register",
        **errors.validation_members(violations()),
    )
    yield {
        "type": str(document["type"]),
        "module": errors.__name__,
        "about": "The request breaks a rule of its schema: a field is missing, has another type, or is out of range.",
        "status": 422,
        "headers": {},
        "keeps_work": False,
        "example": document,
    }


def violations() -> list[Any]:
    """Those of a request without a password."""
    return [{"type": "missing", "loc": ("body", "password"), "msg": "Field required"}]
