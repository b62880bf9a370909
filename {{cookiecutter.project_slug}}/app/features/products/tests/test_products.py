from asyncio import gather
from collections import Counter
from collections.abc import Awaitable

from httpx2 import Response

from conftest import Account

TEA = {"sku": "TEA-250", "name": "Green tea, 250 g", "price": 1250}
URL = "/api/v1/products"


async def test_a_new_product_is_found_where_location_says(admin: Account) -> None:
    created = await admin.client.post(URL, json=TEA)

    assert created.status_code == 201
    found = await admin.client.get(created.headers["Location"])
    assert found.status_code == 200
    assert found.json() == created.json()
    assert found.json()["price"] == 1250
    assert found.json()["currency"] == "EUR"
    assert found.json()["created_at"].endswith("Z")


async def test_a_sku_names_one_product(admin: Account) -> None:
    first = await admin.client.post(URL, json=TEA)
    second = await admin.client.post(URL, json=TEA | {"name": "Black tea"})

    assert first.status_code == 201
    assert second.status_code == 409
    assert second.json()["type"] == "urn:problem-type:sku-taken"
    assert (await admin.client.get(URL)).json()["items"] == [first.json()]


async def test_a_sku_names_one_product_even_when_many_ask_at_once(committed_admin: Account) -> None:
    answers = await gather(*(committed_admin.client.post(URL, json=TEA) for _ in range(20)))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 19}


async def test_an_unknown_field_is_refused(admin: Account) -> None:
    answer = await admin.client.post(URL, json=TEA | {"id": "0" * 32})

    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {
            "location": "body",
            "pointer": "/id",
            "rule": "extra_forbidden",
            "message": "Extra inputs are not permitted",
        }
    ]


async def test_text_that_a_database_cannot_store_is_refused(admin: Account) -> None:
    answers = [
        await admin.client.post(URL, json=TEA | {"name": "tea\x00"}),
        await admin.client.post(URL, json=TEA | {"description": "tea\x00"}),
        await admin.client.post(URL, json=TEA | {"price": 10**30}),
        await admin.client.post(URL, json=TEA | {"price": False}),
        await admin.client.post(URL, json=TEA | {"sku": "TEA\n"}),
    ]

    assert [answer.status_code for answer in answers] == [422] * 5


async def test_lists_are_newest_first_and_paged(admin: Account) -> None:
    for number in range(5):
        await admin.client.post(URL, json=TEA | {"sku": f"TEA-{number}"})

    page = (
        await admin.client.get(
            URL, params={"limit": 2, "offset": 1, "sort": "-sku", "with_total": True}
        )
    ).json()

    assert [item["sku"] for item in page["items"]] == ["TEA-3", "TEA-2"]
    assert page["total"] == 5


async def test_an_unknown_query_parameter_is_refused(admin: Account) -> None:
    answer = await admin.client.get(URL, params={"limt": 2})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/limt"


async def test_an_unknown_id_is_not_found(admin: Account) -> None:
    answer = await admin.client.get(f"{URL}/01890000-0000-7000-8000-000000000000")

    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:problem-type:product-not-found"
    assert answer.json()["correlation_id"] == answer.headers["X-Correlation-ID"]


async def add(admin: Account, sku: str, **changes: object) -> None:
    """Create a product."""
    answer = await admin.client.post(URL, json=TEA | {"sku": sku} | changes)
    assert answer.status_code == 201, answer.text


async def skus(account: Account, **query: str | int) -> list[str]:
    """The SKUs that a list shows."""
    answer = await account.client.get(URL, params=query)
    assert answer.status_code == 200, answer.text
    return [item["sku"] for item in answer.json()["items"]]


async def test_members_read_and_do_not_write(admin: Account, member: Account) -> None:
    await add(admin, "TEA-1")

    assert await skus(member) == ["TEA-1"]
    assert (await member.client.post(URL, json=TEA)).status_code == 403


async def test_lists_are_filtered(admin: Account) -> None:
    await add(admin, "A", name="Green tea 100% pure", price=100)
    await add(admin, "B", name="Black tea", price=200, currency="USD")
    await add(admin, "C", name="Coffee", price=300)

    assert await skus(admin, name="TEA", sort="sku") == ["A", "B"]
    assert await skus(admin, name="100%") == ["A"]
    assert await skus(admin, name="%") == ["A"]
    assert await skus(admin, name="_") == []
    assert await skus(admin, currency="USD") == ["B"]
    assert await skus(admin, min_price=200, max_price=300, sort="-price") == ["C", "B"]


async def test_lists_are_sorted_by_what_is_allowed(admin: Account) -> None:
    await add(admin, "A", price=1, name="z")
    await add(admin, "B", price=1, name="y")
    await add(admin, "C", price=2, name="x")

    assert await skus(admin, sort="-price,name") == ["C", "B", "A"]
    refused = await admin.client.get(URL, params={"sort": "description"})
    assert refused.status_code == 422
    assert "created_at, name, price" in refused.json()["errors"][0]["message"]


async def test_a_cursor_shows_each_item_once_while_others_are_added(admin: Account) -> None:
    for number in range(7):
        await add(admin, f"OLD-{number}", price=number // 2)
    query: dict[str, str | int] = {"limit": 2, "sort": "price"}
    seen: list[str] = []
    for added in range(10):
        page = (await admin.client.get(URL, params=query)).json()
        seen += [item["sku"] for item in page["items"]]
        await add(admin, f"NEW-{added}", price=0)
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]

    old = [sku for sku in seen if sku.startswith("OLD")]
    assert sorted(old) == [f"OLD-{number}" for number in range(7)]
    assert len(seen) == len(set(seen))


async def test_a_cursor_holds_the_longest_names(admin: Account) -> None:
    for number in range(2):
        await add(admin, f"TEA-{number}", name="🫖" * 200)
    query: dict[str, str | int] = {"limit": 1, "sort": "name,sku"}
    cursor = (await admin.client.get(URL, params=query)).json()["next_cursor"]

    assert await skus(admin, cursor=cursor, **query) == ["TEA-1"]


async def test_a_cursor_is_ours_unchanged_and_for_this_list(admin: Account) -> None:
    for number in range(3):
        await add(admin, f"TEA-{number}")
    query: dict[str, str | int] = {"limit": 1, "sort": "sku"}
    cursor = (await admin.client.get(URL, params=query)).json()["next_cursor"]

    good = await admin.client.get(URL, params=query | {"cursor": cursor})
    assert [item["sku"] for item in good.json()["items"]] == ["TEA-1"]
    for changes in (
        {"cursor": cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB")},
        {"cursor": "x" + cursor},
        {"cursor": "%%%"},
        {"cursor": ""},
        {"cursor": "A" * 1999},
        {"cursor": cursor, "sort": "-sku"},
        {"cursor": cursor, "currency": "EUR"},
        {"cursor": cursor, "offset": 1},
    ):
        answer = await admin.client.get(URL, params=query | changes)
        assert answer.status_code == 422, changes


async def test_each_request_costs_few_statements(
    committed_admin: Account, executed: list[str]
) -> None:
    """Its authentication, what it does, and what it records; each runs in one transaction at most."""
    client = committed_admin.client
    costs: dict[str, int] = {}

    async def measure(name: str, request: Awaitable[Response]) -> Response:
        executed.clear()
        answer = await request
        assert answer.is_success, answer.text
        costs[name] = len([each for each in executed if not each.startswith("BEGIN")])
        return answer

    created = await measure("create", client.post(URL, json=TEA))
    path = f"{URL}/{created.json()['id']}"
    await measure("get", client.get(path))
    await measure("list", client.get(URL))
    await measure("change", client.patch(path, json={"price": 1}))
    await measure("delete", client.delete(path))

    assert costs == {"create": 3, "get": 2, "list": 2, "change": 4, "delete": 4}
