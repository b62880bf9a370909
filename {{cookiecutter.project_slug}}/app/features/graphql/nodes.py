"""Nodes (Relay): whatever has an id, and who may read it by that id."""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, cast
from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession
from strawberry import relay
from strawberry.types.field import StrawberryField

from app.core.routing import SERVICE, About
from app.core.security.access import public
from app.features.graphql.context import Info
from app.features.graphql.failures import InvalidId, NodeNotFound
from app.features.graphql.fields import Access, Path, declared, field, nothing
from app.features.graphql.schemas import Shown


@strawberry.type
class Identified(Shown, relay.Node):
    """A resource with an id."""

    id: relay.NodeID[UUID]
    access: ClassVar[Any] = None
    """As on an endpoint: who may read it by its id, if anyone."""
    about: ClassVar[About] = SERVICE
    path: ClassVar[Path] = nothing

    @strawberry.field(description="The id in REST")
    def uuid(self) -> UUID:
        """The id of the row."""
        return self.id

    get: ClassVar[Callable[[AsyncSession, UUID], Awaitable[object]]]
    """Its row, by id; raises the failure that there is none."""


def name_of(kind: type[Any]) -> str:
    """The name of a type in the schema."""
    return cast("Any", kind).__strawberry_definition__.name


def uuid_of(kind: type[Any], id: relay.GlobalID) -> UUID:
    """The id of the row, from the id of a node of this type."""
    if id.type_name != name_of(kind):
        raise InvalidId(name_of(kind))
    try:
        return UUID(id.node_id)
    except ValueError:
        raise InvalidId(name_of(kind)) from None


async def read(kind: Any, info: Info, id: relay.GlobalID) -> Any:  # noqa: ANN401, a node of this type
    """The node with this id."""
    async with info.context.reading() as session:
        return kind.of(await kind.get(session, uuid_of(kind, id)))


def access_to(kind: type[Identified]) -> Access:
    """Who may read a node of this type."""
    return Access(kind.access, kind.about, kind.path)


def one(kind: type[Identified], description: str) -> StrawberryField:
    """The field for a node by its id."""

    async def resolve(self: object, info: Info, id: relay.GlobalID) -> object:
        return await read(kind, info, id)

    return declared(resolve, kind, description, access_to(kind))


@strawberry.type
class Query:
    """Any node by its id."""

    @field(public, SERVICE)
    async def node(self, info: Info, id: relay.GlobalID) -> relay.Node:
        """Get any node, as the field of its type would."""
        found = info.schema.get_type_by_name(id.type_name)
        kind: Any = getattr(found, "origin", None)
        if not (isinstance(kind, type) and issubclass(kind, Identified) and kind.access):
            raise NodeNotFound
        return await access_to(kind).resolve_async(read, kind, info, id=id)
