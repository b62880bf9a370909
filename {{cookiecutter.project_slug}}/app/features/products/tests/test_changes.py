"""Changing and deleting products, also concurrently."""

from asyncio import gather
from collections import Counter
from typing import Any

from httpx2 import Response

from conftest import Account, SignIn

TEA: dict[str, Any] = {"sku": "TEA-250", "name": "Green tea, 250 g", "price": 1250}
URL, LOG = "/api/v1/products", "/api/v1/audit-events"


async def add(account: Account, sku: str = "TEA-250", **changes: object) -> str:
    """Create a product; return its URL."""
    answer = await account.client.post(URL, json=TEA | {"sku": sku} | changes)
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"]


async def change(account: Account, url: str, **fields: object) -> Response:
    """Update these fields."""
    return await account.client.patch(url, json=fields)


async def logged(admin: Account, action: str) -> list[tuple[Any, Any]]:
    """Before and after of each audit event with this action, oldest first."""
    answer = await admin.client.get(LOG, params={"action": action, "sort": "created_at"})
    return [(event["before"], event["after"]) for event in answer.json()["items"]]


async def test_only_what_is_given_changes(admin: Account) -> None:
    url = await add(admin, description="Loose")
    before = (await admin.client.get(url)).json()

    changed = await change(admin, url, name="Sencha", price=0)

    assert changed.status_code == 200
    after = (await admin.client.get(url)).json()
    assert changed.json() == after
    assert after["updated_at"] > before["updated_at"]
    told = {"updated_at": before["updated_at"], "version": 1}
    assert after | told == before | {"name": "Sencha", "price": 0}


async def test_the_log_names_what_changed_and_what_it_was(admin: Account) -> None:
    url = await add(admin)

    await change(admin, url, name="Sencha", price=TEA["price"])
    before = await admin.client.get(url)
    same = await change(admin, url, name="Sencha")
    nothing = await change(admin, url)

    ((nothing_before, made),) = await logged(admin, "product.created")
    assert nothing_before is None
    assert made.items() >= TEA.items()
    assert await logged(admin, "product.changed") == [
        ({"name": "Green tea, 250 g"}, {"name": "Sencha"})
    ]
    assert before.json() == same.json() == nothing.json()


WRONG: list[tuple[str, object]] = [
    *((name, None) for name in ("sku", "name", "description", "price", "currency")),
    ("id", "01890000-0000-7000-8000-000000000000"),
    ("created_at", "2026-01-01T00:00:00Z"),
    ("color", "green"),
    ("price", -1),
    ("price", "a lot"),
    ("price", True),
    ("price", 1.5),
    ("currency", "euro"),
    ("sku", "tea"),
    ("name", " "),
]


async def test_a_change_to_what_is_no_product_is_refused(admin: Account) -> None:
    url = await add(admin)
    before = (await admin.client.get(url)).json()

    for field, value in WRONG:
        refused = await admin.client.patch(url, json={"name": "Sencha", field: value})
        assert refused.status_code == 422, field
        assert refused.json()["errors"][0]["pointer"] == f"/{field}"

    assert (await admin.client.get(url)).json() == before


async def test_a_sku_that_another_product_has_cannot_be_taken(admin: Account) -> None:
    tea = await add(admin, "TEA")
    await add(admin, "COFFEE")

    refused = await change(admin, tea, sku="COFFEE")
    kept = await change(admin, tea, sku="TEA", name="Sencha")

    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:problem-type:sku-taken"
    assert (kept.status_code, kept.json()["sku"]) == (200, "TEA")


async def test_a_deleted_product_is_gone(admin: Account) -> None:
    url = await add(admin)

    deleted = await admin.client.delete(url)

    assert (deleted.status_code, deleted.content) == (204, b"")
    for again in (
        await admin.client.delete(url),
        await admin.client.get(url),
        await change(admin, url, price=1),
    ):
        assert again.status_code == 404
        assert again.json()["type"] == "urn:problem-type:product-not-found"
    assert (await admin.client.get(URL)).json()["items"] == []
    (event,) = await logged(admin, "product.deleted")
    assert event == (TEA | {"description": "", "currency": "EUR", "stock": 0}, None)
    await add(admin)  # its SKU is free again


async def test_members_neither_change_nor_delete(admin: Account, member: Account) -> None:
    url = await add(admin)

    assert (await change(member, url, price=1)).status_code == 403
    assert (await member.client.delete(url)).status_code == 403
    assert (await member.client.get(url)).json()["price"] == TEA["price"]


async def test_of_many_who_delete_one_does(committed_admin: Account) -> None:
    url = await add(committed_admin)

    answers = await gather(*(committed_admin.client.delete(url) for _ in range(10)))

    assert Counter(answer.status_code for answer in answers) == {204: 1, 404: 9}
    assert len(await logged(committed_admin, "product.deleted")) == 1


async def test_a_change_beside_a_deletion_happens_before_it_or_finds_nothing(
    committed_admin: Account,
) -> None:
    urls = [await add(committed_admin, f"TEA-{number}") for number in range(5)]

    answers = await gather(
        *(change(committed_admin, url, price=number) for url in urls for number in range(3)),
        *(committed_admin.client.delete(url) for url in urls),
    )

    found = Counter(answer.status_code for answer in answers)
    assert found[204] == 5
    assert found.keys() <= {200, 204, 404}
    assert (await committed_admin.client.get(URL)).json()["items"] == []
    assert len(await logged(committed_admin, "product.changed")) == found[200]


async def test_of_two_changes_at_once_none_is_lost(committed_admin: Account) -> None:
    url = await add(committed_admin, price=0)

    answers = await gather(
        *(change(committed_admin, url, price=number) for number in range(1, 9)),
        change(committed_admin, url, name="Sencha"),
        change(committed_admin, url, description="Loose"),
    )

    assert {answer.status_code for answer in answers} == {200}
    product = (await committed_admin.client.get(url)).json()
    assert (product["name"], product["description"]) == ("Sencha", "Loose")
    prices = [
        pair for pair in await logged(committed_admin, "product.changed") if "price" in pair[0]
    ]
    assert len(prices) == 8
    follows = {before["price"]: after["price"] for before, after in prices}
    chain = [0]
    while chain[-1] in follows:
        chain.append(follows[chain[-1]])
    assert sorted(chain) == list(range(9))  # each started where another had ended
    assert product["price"] == chain[-1]


async def test_two_who_swap_skus_are_told_of_a_conflict(committed_admin: Account) -> None:
    tea, coffee = await add(committed_admin, "TEA"), await add(committed_admin, "COFFEE")

    answers = await gather(
        *(change(committed_admin, tea, sku="COFFEE") for _ in range(5)),
        *(change(committed_admin, coffee, sku="TEA") for _ in range(5)),
    )

    assert {answer.status_code for answer in answers} == {409}, [a.text for a in answers]


async def test_the_document_names_every_answer(admin: Account) -> None:
    document = (await admin.client.get("/api/v1/openapi.json")).json()
    one = document["paths"][URL + "/{product_id}"]
    always = {"401", "403", "404", "409", "412", "422", "429", "500", "503"}
    with_body = {"400", "413"}

    assert one["patch"]["responses"].keys() == {"200"} | always | with_body
    assert one["delete"]["responses"].keys() == {"204"} | always


async def test_a_product_says_who_created_it_and_who_last_changed_it(
    admin: Account, sign_in: SignIn
) -> None:
    other = await sign_in("eve@example.com", "admin")
    url = await add(admin)
    created = (await admin.client.get(url)).json()
    changed = (await change(other, url, price=1)).json()
    forged = await change(other, url, created_by=str(other.id))

    assert (created["created_by"], created["updated_by"]) == (str(admin.id), str(admin.id))
    assert (changed["created_by"], changed["updated_by"]) == (str(admin.id), str(other.id))
    assert forged.status_code == 422
    await admin.client.post("/api/v1/price-changes", json={"currency": "EUR", "percent": 5})
    assert (await admin.client.get(url)).json()["updated_by"] == str(admin.id)
