"""Fields that declare who may read or call them, as endpoints do."""

from collections.abc import Callable, Mapping
from typing import Any

import strawberry
from graphql import OperationType
from strawberry.extensions import FieldExtension
from strawberry.types.field import StrawberryField

from app.core.carriers import carrying
from app.core.routing import About
from app.features.graphql.context import Info, current

Path = Callable[[Any, Mapping[str, Any]], Mapping[str, str]]
"""From the parent and the arguments, the parameters that a path would have."""


def nothing(source: object, arguments: Mapping[str, Any]) -> Mapping[str, str]:
    """No parameters."""
    return {}


class Access(FieldExtension):
    """Resolves the field as the caller whom it declares; without one, refuses it."""

    def __init__(self, access: Any, about: About, path: Path) -> None:  # noqa: ANN401, as on an endpoint
        self.access = access
        self.about = about
        self.path = path

    async def resolve_async(
        self,
        next_: Callable[..., Any],
        source: Any,  # noqa: ANN401, Strawberry's
        info: Info,
        **arguments: Any,  # noqa: ANN401, likewise
    ) -> Any:  # noqa: ANN401, likewise
        """Admit the caller, and resolve the field in that caller's context."""
        if info.operation.operation is OperationType.MUTATION and info.path.prev is None:
            info.context.forget()
        path = self.path(source, arguments)
        caller = await info.context.caller(self.access, self.about, path)
        if caller is None:
            return await next_(source, info, **arguments)
        token = current.set(caller)
        try:
            with carrying(caller.carried):
                return await next_(source, info, **arguments)
        finally:
            current.reset(token)


def field(access: Any, about: About, *, path: Path = nothing) -> Callable[[Any], Any]:  # noqa: ANN401, as on an endpoint
    """A field, or a mutation, that is resolved by the decorated coroutine; its docstring is published."""

    def declare(resolver: Callable[..., Any]) -> StrawberryField:
        kind = resolver.__annotations__["return"]
        return declared(resolver, kind, resolver.__doc__, Access(access, about, path))

    return declare


def declared(
    resolver: Callable[..., Any],
    kind: Any,  # noqa: ANN401, a type of the schema
    description: str | None,
    access: Access,
) -> StrawberryField:
    """A field that is null where it is refused, so that the fields beside it are answered."""
    resolver.__annotations__["return"] = kind | None
    return strawberry.field(resolver, description=description, extensions=[access])
