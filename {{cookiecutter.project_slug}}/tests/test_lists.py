"""What all lists share: their orders, and cursors bound to one list in one order."""

import base64
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from httpx2 import AsyncClient, Response

from app.core import cursors
from app.core.cursors import SIGNATURE_BYTES, VERSION, signature
from app.core.jobs.models import JobRun
from app.core.openapi import queries_of
from app.core.pagination import ListQuery, SortableBy
from app.core.security.keys import signing_keys
from app.core.settings import Settings
from app.core.sorting import KEY_TYPES
from conftest import Account
from tests.document import Document, first_cursor

USERS = "/api/v1/users"


def orders(sort: dict[str, Any]) -> list[str]:
    """Each column of a list, both ways."""
    found = re.search(r"\(([\w|]+)\)", sort["pattern"])
    assert found
    return [sign + name for name in found.group(1).split("|") for sign in ("", "-")]


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)])
async def test_a_cursor_is_good_for_one_list_in_one_order(
    lists: dict[str, dict[str, Any]], rows: AsyncClient, *, every: bool
) -> None:
    """Each cursor is sent to all lists, and to its own in all orders; or each to all lists in all orders."""
    defaults = {url: sort["default"] for url, sort in lists.items()}
    places = [(url, order) for url, sort in lists.items() for order in orders(sort)]
    for url, order in places if every else defaults.items():
        cursor = await first_cursor(rows, url, order)
        assert cursor
        for other, other_order in places:
            if every or other == url or other_order == defaults[other]:
                query = {"cursor": cursor, "sort": other_order}
                answer = await rows.get(other, params=query)
                same = (url, order) == (other, other_order)
                assert answer.status_code == (200 if same else 422), (url, order, other, query)
                assert same or answer.json()["type"] == "urn:problem-type:invalid-cursor"


@pytest.mark.parametrize(
    ("name", "fit", "unfit"),
    [
        ("limit", [1, 100], [0, 101]),
        ("offset", [0, 10_000], [-1, 10_001]),
        ("sort", [",".join(["id"] * 20)], [",".join(["id"] * 21)]),
    ],
)
async def test_a_page_has_limits(
    lists: dict[str, dict[str, Any]],
    rows: AsyncClient,
    name: str,
    fit: list[int | str],
    unfit: list[int | str],
) -> None:
    for url in lists:
        for value in [*fit, *unfit]:
            answer = await rows.get(url, params={name: value})
            assert answer.status_code == (200 if value in fit else 422), (url, value)


async def test_the_default_order_is_an_order_like_any_other(
    lists: dict[str, dict[str, Any]], rows: AsyncClient
) -> None:
    for url, sort in lists.items():
        query = {"cursor": await first_cursor(rows, url, sort["default"]) or ""}
        unsaid = await rows.get(url, params=query)
        said = await rows.get(url, params=query | {"sort": sort["default"]})
        assert unsaid.status_code == 200
        assert unsaid.json() == said.json()


async def test_a_list_has_the_same_items_by_pages_and_at_once(
    lists: dict[str, dict[str, Any]], rows: AsyncClient
) -> None:
    for url, sort in lists.items():
        query: dict[str, str | int] = {"sort": sort["examples"][0], "limit": 100}
        at_once = (await rows.get(url, params=query | {"offset": 0})).json()["items"]
        assert len(at_once) > 1
        query["limit"] = len(at_once) // 2
        items: list[Any] = []
        while "cursor" not in query or query["cursor"]:
            page = (await rows.get(url, params=query)).json()
            items += page["items"]
            query["cursor"] = page["next_cursor"]
        assert items == at_once


async def test_a_field_that_is_named_again_changes_nothing(admin: Account, member: Account) -> None:
    once = (await admin.client.get(USERS, params={"sort": "email", "limit": 1})).json()
    again = (await admin.client.get(USERS, params={"sort": "email,-email", "limit": 1})).json()

    assert once == again
    assert once["items"][0]["email"] == admin.email


async def test_other_orders_are_refused_and_the_possible_ones_named(admin: Account) -> None:
    for sort in ("", "-", ",", "email,", "Email", "password_hash", "--id", "id\n", "id," * 5000):
        answer = await admin.client.get(USERS, params={"sort": sort})

        assert answer.status_code == 422
        assert answer.json()["errors"] == [
            {
                "location": "query",
                "pointer": "/sort",
                "rule": "unknown_sort",
                "message": "Sort by created_at, email, id; prefix one with `-` for descending order",
            }
        ]


def test_what_no_cursor_can_hold_is_refused_where_a_list_is_declared() -> None:
    with pytest.raises(TypeError, match=r"^Refused cannot be sorted by arguments: jobs\.arguments"):

        class Refused(ListQuery):  # pyright: ignore[reportUnusedClass]
            """A list with such an order."""

            sort: Annotated[str, SortableBy(JobRun.arguments)] = "arguments"


@pytest.mark.parametrize("default", ["due_at", "-", "name,"])
def test_a_default_order_is_one_of_the_possible(default: str) -> None:
    with pytest.raises(TypeError, match="one of these orders as its default"):

        class Refused(ListQuery):  # pyright: ignore[reportUnusedClass]
            """A list whose default is none."""

            sort: Annotated[str, SortableBy(JobRun.name)] = default


def test_a_list_without_orders_is_refused() -> None:
    with pytest.raises(TypeError, match="Refused needs `sort: Annotated"):

        class Refused(ListQuery):  # pyright: ignore[reportUnusedClass]
            """A list without a declaration."""


def test_cursors_of_older_releases_are_good() -> None:
    """Unless `VERSION` says otherwise."""
    given = "WU7YKY6pRv_Vg2vGxsEC-lsyLCIwMTIzNDU2Nzg5YWJjZGVmIixbMTI1MCwiVEVBIl1d"
    assert cursors.sign("0123456789abcdef", [1250, "TEA"], "a key") == given


def test_each_list_has_a_query_of_its_own(app: FastAPI, document: Document) -> None:
    """Cursors are bound to it."""
    routes = [context.original_route for context in iter_route_contexts(app.routes)]
    lists = [
        query
        for route in routes
        if isinstance(route, APIRoute)
        for query in queries_of(route.dependant)
    ]

    assert len(set(lists)) == len(lists) == len(document.lists())


async def next_page(account: Account, sort: str, body: bytes, key: str) -> Response:
    """The response of the user list to a validly signed cursor with this content."""
    cursor = base64.urlsafe_b64encode(signature(body, key) + body).decode().rstrip("=")
    return await account.client.get(USERS, params={"sort": sort, "cursor": cursor})


MISFITS: dict[str, list[object]] = {
    "created_at": [
        None,
        "",
        "x",
        "\0",
        10**40,
        [],
        "2026-01-01T00:00:00",
        "0001-01-01T00:00+23:00",
    ],
    "email": [None, 5, 10**40, 1e300, True, [], {}, "\0"],
    "id": [None, "", "x", "\0", 5, 10**40, True, [], {}],
}
"""A value that no cursor holds for a column of the type."""


@pytest.mark.parametrize("sort", MISFITS)
async def test_nothing_that_is_signed_is_an_internal_error(
    admin: Account, member: Account, settings: Settings, sort: str
) -> None:
    """Neither a cursor of an older release nor garbage."""
    key = signing_keys(settings)[0]
    first = await admin.client.get(USERS, params={"sort": sort, "limit": 1})
    cursor: str = first.json()["next_cursor"]
    body = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))[SIGNATURE_BYTES:]
    assert (await next_page(admin, sort, body, key)).status_code == 200

    _, mark, place = json.loads(body)
    places: list[Any] = [[], place[1:], [*place, place[0]], None, {}, "x"]
    places += [[value, *place[1:]] for value in MISFITS[sort]]
    older = ">" + "~".join(f"s:{value}" for value in place)
    rubbish: list[Any] = [None, {}, [], [1, mark, older], [VERSION, mark, older]]
    rubbish += [[VERSION + 1, mark, place], [VERSION, mark[::-1], place], [VERSION, mark, place, 1]]
    rubbish += [[VERSION, mark, each] for each in places]
    unreadable = [b"", b"\xff", b"[" * 1000, b'[2,"\\ud800",[]]', body[:-1]]
    for each in [*unreadable, *(json.dumps(item).encode() for item in rubbish)]:
        answer = await next_page(admin, sort, each, key)
        assert answer.status_code == 422, each
        assert answer.json()["type"] == "urn:problem-type:invalid-cursor"


async def test_a_cursor_has_a_length(admin: Account) -> None:
    answer = await admin.client.get(USERS, params={"cursor": "x" * 2001})

    assert [error["rule"] for error in answer.json()["errors"]] == ["string_too_long"]


def test_a_cursor_holds_a_key_of_every_type() -> None:
    now = datetime.now(UTC)
    keys = [True, 7, Decimal("1.50"), "tea", now.date(), now, UUID(int=7)]

    assert {type(key) for key in keys} == KEY_TYPES.keys()
    for key in keys:
        kind = KEY_TYPES[type(key)]
        assert kind.validate_python(kind.dump_python(key, mode="json")) == key


def links(answer: Response) -> dict[str, str]:
    """The pages beside this one, by relation."""
    found = re.findall(r'<([^>]*)>; rel="(\w+)"', answer.headers.get("Link", ""))
    return {relation: url for url, relation in found}


async def test_pages_link_to_those_beside_them(
    lists: dict[str, dict[str, Any]], rows: AsyncClient
) -> None:
    for url, sort in lists.items():
        for order in orders(sort):
            query = {"sort": order, "limit": 1}
            whole = await rows.get(url, params=query | {"limit": 100})
            first = await rows.get(url, params=query)
            second = await rows.get(links(first)["next"])
            back = await rows.get(links(second)["prev"])
            before = {"before": second.json()["previous_cursor"]}

            assert links(first).keys() == {"next"}
            assert links(whole) == {}
            assert first.json()["previous_cursor"] is None
            assert back.json()["items"] == first.json()["items"] != second.json()["items"]
            assert (await rows.get(url, params=query | before)).json() == back.json()
            assert links(back).keys() == {"next"}
            assert (await rows.get(links(back)["next"])).json() == second.json()


async def test_a_list_is_read_backwards_as_forwards(rows: AsyncClient) -> None:
    query: dict[str, str | int] = {"sort": "name", "limit": 3}
    forwards = [(await rows.get("/api/v1/roles", params=query)).json()]
    while forwards[-1]["next_cursor"]:
        place = {"cursor": forwards[-1]["next_cursor"]}
        forwards.append((await rows.get("/api/v1/roles", params=query | place)).json())
    backwards = [forwards[-1]]
    while backwards[0]["previous_cursor"]:
        place = {"before": backwards[0]["previous_cursor"]}
        backwards.insert(0, (await rows.get("/api/v1/roles", params=query | place)).json())

    assert [each["items"] for each in backwards] == [each["items"] for each in forwards]
    assert len(forwards) > 1


@pytest.mark.parametrize("both", [("cursor", "before"), ("before", "offset"), ("cursor", "offset")])
async def test_a_page_begins_at_one_place(rows: AsyncClient, both: tuple[str, str]) -> None:
    answer = await rows.get("/api/v1/roles", params=dict.fromkeys(both, "1"))

    assert answer.status_code == 422
    assert "give one of cursor, before and offset" in answer.text


async def test_links_keep_what_the_client_asked_for(rows: AsyncClient) -> None:
    url = "/api/v1/audit-events?limit=1&action=role.created&with_total=true"
    answer = await rows.get(url)

    assert links(answer)["next"].startswith(url + "&cursor=")
    assert (await rows.get(links(answer)["next"])).json()["total"] == answer.json()["total"]
