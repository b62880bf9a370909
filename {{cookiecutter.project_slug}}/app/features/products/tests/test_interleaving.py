"""Whatever is inserted and deleted while a list is read, each row that is there throughout is read once, in order."""

import base64
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings as examples, strategies as st

from conftest import Account

URL = "/api/v1/products"
SORTS = ["price", "-price", "-created_at", "name,-price", "-price,name,sku"]
STEPS = st.one_of(
    st.tuples(st.just("insert"), st.integers(0, 3)),
    st.tuples(st.just("delete"), st.integers(0, 20)),
    st.tuples(st.just("page"), st.integers(1, 3)),
)


def key(item: dict[str, Any], sort: str) -> list[Any]:
    """What a row is compared by; descending fields are numbers, or times, whose order is turned."""
    return [item[term.removeprefix("-")] for term in sort.split(",")]


def in_order(items: list[dict[str, Any]], sort: str) -> bool:
    """Whether rows are in this order."""
    for one, other in pairwise(items):
        for term, mine, theirs in zip(
            sort.split(","), key(one, sort), key(other, sort), strict=True
        ):
            if mine != theirs:
                if (mine < theirs) == term.startswith("-"):
                    return False
                break
    return True


@pytest.mark.slow
@pytest.mark.timeout(300)
@given(
    sort=st.sampled_from(SORTS),
    start=st.lists(st.integers(0, 3), max_size=6),
    steps=st.lists(STEPS, max_size=12),
)
@examples(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_each_row_that_is_there_throughout_is_read_once(
    admin: Account, sort: str, start: list[int], steps: list[tuple[str, int]]
) -> None:
    tag = uuid4().hex  # the rows of this example
    there: dict[str, str] = {}

    async def insert(price: int) -> None:
        new = {"sku": uuid4().hex.upper(), "name": f"{tag} {price % 2}", "price": price}
        made = (await admin.client.post(URL, json=new)).json()
        there[made["id"]] = made["sku"]

    async def page(limit: int, cursor: str | None) -> dict[str, Any]:
        query: dict[str, str | int] = {"name": tag, "sort": sort, "limit": limit}
        answer = await admin.client.get(URL, params=query | ({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        return answer.json()

    for price in start:
        await insert(price)
    throughout, seen, cursor, ended = {*there}, list[dict[str, Any]](), None, False
    for what, number in [*steps, *[("page", 3)] * 20]:
        if what == "insert":
            await insert(number)
        elif what == "delete" and there:
            chosen = sorted(there)[number % len(there)]
            await admin.client.delete(f"{URL}/{chosen}")
            there.pop(chosen)
            throughout.discard(chosen)
        elif what == "page" and not ended:
            found = await page(number, cursor)
            seen += found["items"]
            cursor, ended = found["next_cursor"], found["next_cursor"] is None

    ids = [item["id"] for item in seen]
    assert ended
    assert len(ids) == len({*ids})
    assert throughout <= {*ids}
    assert in_order(seen, sort)


@pytest.mark.slow
async def test_an_altered_cursor_is_refused(admin: Account) -> None:
    for number in range(2):
        new = {"sku": f"TEA-{number}", "name": "Tea", "price": number}
        await admin.client.post(URL, json=new)
    first = (await admin.client.get(URL, params={"limit": 1})).json()
    cursor: str = first["next_cursor"]

    for place in range(len(cursor)):
        other = "A" if cursor[place] != "A" else "B"
        altered = cursor[:place] + other + cursor[place + 1 :]
        answer = await admin.client.get(URL, params={"limit": 1, "cursor": altered})
        assert answer.status_code == 422 or is_the_same(altered, cursor), altered


def is_the_same(one: str, other: str) -> bool:
    """Whether both texts have the same bytes: the last character of Base64 may have spare bits."""
    return base64.urlsafe_b64decode(one + "==") == base64.urlsafe_b64decode(other + "==")
