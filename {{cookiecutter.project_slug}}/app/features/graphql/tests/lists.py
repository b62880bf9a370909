"""The same list read in REST and in GraphQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from httpx2 import AsyncClient
from strawberry.utils.str_converters import to_camel_case

from app.features.graphql.tests.steps import ask, uuid_in

PAGE = """{
  edges { cursor node { [node] } }
  nodes { [node] }
  pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  totalCount
}"""
MOST = 100
"""The largest page."""


@dataclass(frozen=True)
class Listing:
    """A list, and what can be asked of it."""

    path: str
    """In REST, after the common prefix."""
    name: str
    """The field of the connection."""
    columns: Sequence[str]
    """It can be sorted by these."""
    filters: Mapping[str, Sequence[Any]]
    """Values to filter by: some match nothing."""
    input: str | None = None
    """The type of the filter, if it has one."""
    parent: str = ""
    """The field that the connection belongs to, with its arguments, if it is not a query of its own."""
    node: str = "uuid"
    """The field that identifies its nodes."""

    @property
    def query(self) -> str:
        """The document that reads a page."""
        declared = "$first: Int, $after: String, $last: Int, $before: String, $sort: String"
        given = "first: $first, after: $after, last: $last, before: $before, sort: $sort"
        if self.input:
            declared += f", $filter: {self.input}"
            given += ", filter: $filter"
        page = f"page: {self.name}({given}) {PAGE.replace('[node]', self.node)}"
        inner = f"{self.parent} " + "{ " + page + " }" if self.parent else page
        return f"query({declared}) " + "{ " + inner + " }"


@dataclass(frozen=True)
class Wish:
    """What a client asks of a list, in REST's words."""

    sort: str
    filters: Mapping[str, Any]
    size: int
    is_backwards: bool = False
    """Whether it is read from its end."""

    @property
    def variables(self) -> dict[str, Any]:
        """The same in the words of GraphQL."""
        if not self.filters:
            return {"sort": self.sort}
        named = {to_camel_case(name): self.value(name) for name in self.filters}
        return {"sort": self.sort, "filter": named}

    def value(self, name: str) -> Any:  # noqa: ANN401, JSON
        """A value of a filter, or several; those of an enum are in upper case."""
        value = self.filters[name]
        if name != "state":
            return value
        return value.upper() if isinstance(value, str) else [each.upper() for each in value]


def wishes(listing: Listing, count: int) -> list[Wish]:
    """Random combinations of filters, order, page size and direction, the same in each run."""
    random = Random(listing.name)  # noqa: S311, no secret
    return [
        Wish(
            ",".join(
                random.choice(("", "-")) + name
                for name in random.choices(listing.columns, k=random.randint(1, 3))
            ),
            {
                name: random.choice(values)
                for name, values in listing.filters.items()
                if random.random() < 0.3
            },
            random.choice((1, 5, 8, 13, MOST, MOST)),
            random.random() < 0.5,
        )
        for _ in range(count)
    ]


async def rest(
    client: AsyncClient, listing: Listing, wish: Wish, **more: str | int
) -> dict[str, Any]:
    """A page in REST."""
    params = {"sort": wish.sort, "limit": wish.size, **wish.filters, **more}
    answer = await client.get(f"/api/v1{listing.path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def graphql(
    client: AsyncClient, listing: Listing, wish: Wish, **more: str | int | None
) -> dict[str, Any]:
    """A page in GraphQL."""
    found = await ask(client, listing.query, **wish.variables, **more)
    page = found["page"] if "page" in found else found.popitem()[1]["page"]
    assert [each["node"] for each in page["edges"]] == page["nodes"]
    cursors = [each["cursor"] for each in page["edges"]] or [None]
    assert page["pageInfo"]["startCursor"] == cursors[0]
    assert page["pageInfo"]["endCursor"] == cursors[-1]
    return page


def ids(page: dict[str, Any]) -> list[str]:
    """The ids of a page, of either interface, as in REST."""
    return [id_of(each) for each in page["nodes" if "nodes" in page else "items"]]


def id_of(item: dict[str, Any]) -> str:
    """The id of an item, or of its subject."""
    if "userId" in item:
        return uuid_in(item["userId"])
    for name in ("uuid", "id", "user_id"):
        if name in item:
            return item[name]
    [subject] = [inner for name, inner in item.items() if name not in {"role", "created_at"}]
    return id_of(subject)


async def forwards(client: AsyncClient, listing: Listing, wish: Wish) -> list[dict[str, Any]]:
    """All pages from the start to the end."""
    pages = [await graphql(client, listing, wish, first=wish.size)]
    while pages[-1]["pageInfo"]["hasNextPage"]:
        after = pages[-1]["pageInfo"]["endCursor"]
        pages.append(await graphql(client, listing, wish, first=wish.size, after=after))
    return pages


async def backwards(client: AsyncClient, listing: Listing, wish: Wish) -> list[dict[str, Any]]:
    """All pages from the end to the start."""
    pages = [await graphql(client, listing, wish, last=wish.size)]
    while pages[-1]["pageInfo"]["hasPreviousPage"]:
        before = pages[-1]["pageInfo"]["startCursor"]
        pages.append(await graphql(client, listing, wish, last=wish.size, before=before))
    return pages


async def compare(client: AsyncClient, listing: Listing, wish: Wish) -> int:
    """Require the same list of both interfaces; return its length."""
    everything = await rest(client, listing, wish, limit=MOST, with_total="true")
    wanted = ids(everything)
    assert everything["total"] == len(wanted), "the list fits into one page of REST"

    pages = await (backwards if wish.is_backwards else forwards)(client, listing, wish)
    in_order = reversed(pages) if wish.is_backwards else pages
    assert [each for page in in_order for each in ids(page)] == wanted, wish
    assert all(page["totalCount"] == len(wanted) for page in pages)
    assert all(len(ids(page)) == wish.size for page in pages[:-1])
    other = "hasNextPage" if wish.is_backwards else "hasPreviousPage"
    assert [page["pageInfo"][other] for page in pages] == [False] + [True] * (len(pages) - 1)
    return len(wanted)


async def exchange_cursors(client: AsyncClient, listing: Listing, wish: Wish) -> None:
    """Continue the list of each interface with a cursor of the other."""
    first = await rest(client, listing, wish)
    shown = await graphql(client, listing, wish, first=wish.size)
    assert first["next_cursor"] == shown["pageInfo"]["endCursor"], wish
    second = await rest(client, listing, wish, cursor=shown["pageInfo"]["endCursor"])
    again = await graphql(client, listing, wish, first=wish.size, after=first["next_cursor"])
    assert ids(second) == ids(again) != ids(first)
