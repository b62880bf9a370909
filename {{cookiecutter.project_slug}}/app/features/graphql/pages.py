"""Connections (Relay) over the lists of REST: the same order, filters, limits and cursors."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from inspect import signature
from typing import Any, Generic, TypeVar

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession
from strawberry.types.field import StrawberryField
from strawberry.types.nodes import SelectedField

from app.core.pagination import Found, ListQuery
from app.core.routing import About
from app.features.graphql.context import Info
from app.features.graphql.failures import InvalidPage
from app.features.graphql.fields import Access, declared, nothing
from app.features.graphql.schemas import UNSET, given, valid

Node = TypeVar("Node")
Query = TypeVar("Query", bound=ListQuery)

LARGEST = 100
"""The most nodes of one page."""
TOTAL = "totalCount"


@strawberry.type(description="The position of a page in its list")
class PageInfo:
    """Relay's."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type(description="A node and its position in the list")
class Edge(Generic[Node]):
    """Relay's."""

    cursor: str
    node: Node


@strawberry.type(description="A page of a list")
class Connection(Generic[Node]):
    """Relay's; `nodes` for clients that need no cursors."""

    edges: list[Edge[Node]]
    nodes: list[Node]
    page_info: PageInfo
    total_count: int | None = strawberry.field(description="The total number of items in the list")


def page_of(found: Found[Any], kind: Any, selected: Collection[str]) -> Connection[Any]:  # noqa: ANN401, a type of the schema
    """The connection for a page; cursors are made only if they are selected."""
    cursor_of = found.cursor_of or str
    nodes = [kind.of(row) for row in found.items]
    edges: list[Edge[Any]] = []
    if "edges" in selected:
        edges = [Edge(cursor=cursor_of(index), node=node) for index, node in enumerate(nodes)]
    return Connection(
        edges=edges,
        nodes=nodes,
        page_info=PageInfo(
            has_next_page=found.next_cursor is not None,
            has_previous_page=found.has_previous,
            start_cursor=cursor_of(0) if nodes else None,
            end_cursor=cursor_of(-1) if nodes else None,
        ),
        total_count=found.total,
    )


@dataclass(slots=True)
class Window:
    """The arguments of a connection."""

    first: int | None
    after: str | None
    last: int | None
    before: str | None
    sort: str | None
    filter: object = None

    def __post_init__(self) -> None:
        """What is not given is the same as null."""
        for name in ("first", "after", "last", "before", "sort", "filter"):
            if getattr(self, name) is UNSET:
                setattr(self, name, None)

    def of(self, query: type[Query], *, with_total: bool) -> Query:
        """The same as the query of a list in REST."""
        forwards = self.last is None
        size = self.first if forwards else self.last
        surplus = self.before if forwards else self.after
        if size is None or not 1 <= size <= LARGEST or surplus is not None:
            raise InvalidPage
        if not forwards and self.first is not None:
            raise InvalidPage
        values: dict[str, Any] = {
            **given(self.filter),
            "limit": size,
            "cursor": self.after if forwards else self.before,
            "with_total": with_total,
        }
        if self.sort is not None:
            values["sort"] = self.sort
        found = valid(query, values)
        return found if forwards else found.backwards()


def selected_in(info: Info) -> set[str]:
    """The fields that are selected in a connection."""
    return {name for each in info.selected_fields for name in names_in(each.selections)}


def names_in(selections: Iterable[Any]) -> Iterator[str]:
    """The names of selected fields, those in fragments too."""
    for each in selections:
        if isinstance(each, SelectedField):
            yield each.name
        else:
            yield from names_in(each.selections)


Find = Callable[[AsyncSession, Any], Awaitable[Found[Any]]]


def connection(
    kind: Any,  # noqa: ANN401, a type of the schema
    query: type[ListQuery],
    find: Find,
    *,
    access: Any,  # noqa: ANN401, as on an endpoint
    about: About,
    filters: Any = None,  # noqa: ANN401, an input of the schema
    description: str,
) -> StrawberryField:
    """The field for a list that `find` reads a page of."""

    async def read(source: object, info: Info, window: Window) -> object:
        selected = selected_in(info)
        wanted = window.of(query, with_total=TOTAL in selected)
        async with info.context.reading() as session:
            return page_of(await find(session, wanted), kind, selected)

    page = Connection[kind]
    return declared(
        windowed(page, read, filters), page, description, Access(access, about, nothing)
    )


def windowed(
    kind: Any,  # noqa: ANN401, a type of the schema
    read: Callable[[Any, Info, Window], Awaitable[object]],
    filters: Any = None,  # noqa: ANN401, an input of the schema
) -> Callable[..., Awaitable[object]]:
    """The resolver of a connection, with its arguments."""

    async def page(
        self: object,
        info: Info,
        first: int | None = UNSET,
        after: str | None = UNSET,
        last: int | None = UNSET,
        before: str | None = UNSET,
        sort: str | None = UNSET,
        filter: object = UNSET,
    ) -> object:
        return await read(self, info, Window(first, after, last, before, sort, filter))

    page.__annotations__ |= {"filter": filters and filters | None, "return": kind | None}
    if filters is None:
        *others, _ = signature(page).parameters.values()
        vars(page)["__signature__"] = signature(page).replace(parameters=others)
    return page
