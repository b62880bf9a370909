"""Dependencies that see the response of an endpoint before what it has written is committed, or answer instead of it."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from fastapi.params import Depends, Form
from fastapi.routing import APIRoute, RouteContext
from starlette.responses import Response
from starlette.types import Scope


@dataclass(frozen=True)
class Observing(Depends):
    """A dependency that sees the response before what the endpoint has written is committed, with `before_commit`.

    It may also raise `Answered` instead.
    """

    responses: Mapping[int | str, dict[str, Any]] = field(default_factory=dict[int | str, Any])
    """What it may refuse requests with, for OpenAPI."""


class Answered(Exception):
    """Raised by an `Observing` dependency: this is the response, and the endpoint is not called."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


OBSERVERS = "app.observers"
"""The key in the scope for what `before_commit` adds."""


def before_commit(scope: Scope, see: Callable[[Response], Awaitable[None]]) -> None:
    """Call `see` with the response of the endpoint; what it raises rolls back the request's transaction."""
    scope.setdefault(OBSERVERS, []).append(see)


def together(*declared: Mapping[int | str, dict[str, Any]]) -> dict[int | str, dict[str, Any]]:
    """The responses of all, with each description of a status."""
    found: dict[int | str, dict[str, Any]] = {}
    for status, response in (item for each in declared for item in each.items()):
        known = found.get(status)
        text = f"{known['description']}; or {response['description']}" if known else None
        found[status] = response | ({"description": text} if text else {})
    return found


class ObservedRoute(APIRoute):
    """A route with `Observing` dependencies."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:  # noqa: ANN401, FastAPI's
        super().__init__(path, endpoint, **options)
        if has_form(self):
            raise TypeError(f"{path}: what observes it could not read its form")

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of FastAPI, watched."""
        handle = super().get_route_handler()

        async def observed(request: Request) -> Response:
            try:
                response = await handle(request)
            except Answered as answered:
                return answered.response
            for see in request.scope.get(OBSERVERS, ()):
                await see(response)
            return response

        return observed


def has_form(route: RouteContext | APIRoute) -> bool:
    """Whether its body is a form."""
    return isinstance(getattr(getattr(route, "body_field", None), "field_info", None), Form)
