"""Each list is the same in GraphQL as in REST: items, order, pages, cursors and totals."""

from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.jobs.models import JobRun, JobState
from app.features.audit.models import AuditEvent
from app.features.graphql.tests.lists import (
    Listing,
    Wish,
    compare,
    exchange_cursors,
    graphql,
    ids,
    wishes,
)
from app.features.graphql.tests.steps import ask, refused
from app.features.users.models import Role, User
from conftest import Account

DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAYS = [DAY + timedelta(days=number) for number in range(3)]
"""Few, so that many rows have the same."""
TIMES = [each.isoformat() for each in DAYS]
PEOPLE = [UUID(int=number) for number in (1, 2)]

USERS = Listing(
    "/users",
    "users",
    ["created_at", "email", "id"],
    {
        "email": ["3@example.com", "unknown@example.com"],
        "is_active": [True, False],
        "role": ["editor", "member", "unknown"],
    },
    "UserFilter",
)
ROLES = Listing("/roles", "roles", ["name", "id"], {})
EVENTS = Listing(
    "/audit-events",
    "auditEvents",
    ["created_at", "id"],
    {
        "action": ["thing.made", "thing.moved", "thing.lost"],
        "object_type": ["thing", "other"],
        "object_id": [str(each) for each in PEOPLE],
        "actor_id": [str(each) for each in PEOPLE],
        "since": TIMES,
        "until": TIMES,
    },
    "AuditFilter",
)
JOBS = Listing(
    "/jobs",
    "jobs",
    ["created_at", "finished_at", "id"],
    {
        "state": [*(each.value for each in JobState), ["done", "queued"], ["dead", "done"]],
        "name": ["things.make", "things.move", "things.lose"],
        "queue": ["default", "other"],
    },
    "JobFilter",
)
LISTS = [USERS, ROLES, EVENTS, JOBS]
every_list = pytest.mark.parametrize("listing", LISTS, ids=lambda each: each.name)


@pytest.fixture
async def reader(session: AsyncSession, admin: Account) -> Account:
    """Lists of a dozen items with few different values, and an account that reads them."""
    random = Random(1)  # noqa: S311, data
    editor = Role(name="editor", permissions=[])
    member = await session.scalar(select(Role).where(Role.name == "member"))
    assert member
    session.add(editor)
    for number in range(12):
        day = random.choice(DAYS)
        role = Role(name=f"role-{number}", permissions=[], created_at=day)
        user = User(
            email=f"{number}@example.com",
            password_hash="",
            is_active=random.random() < 0.7,
            created_at=day,
            roles=random.choice([[], [editor], [member], [editor, member]]),
        )
        event = AuditEvent(
            action=random.choice(["thing.made", "thing.moved"]),
            object_type="thing",
            object_id=random.choice(PEOPLE),
            actor_id=random.choice([None, *PEOPLE]),
            created_at=day,
        )
        job = JobRun(
            name=random.choice(["things.make", "things.move"]),
            queue=random.choice(["default", "other"]),
            state=random.choice([JobState.DONE, JobState.DEAD]),
            arguments={},
            finished_at=random.choice([None, *DAYS]),
            created_at=day,
        )
        session.add_all([role, user, event, job])
    await session.flush()
    return admin


@every_list
async def test_a_list_is_the_same_in_both_interfaces_however_it_is_read(
    reader: Account, listing: Listing
) -> None:
    """40 combinations for each list."""
    wanted = wishes(listing, 40)
    found = [await compare(reader.client, listing, wish) for wish in wanted]

    assert sum(length > wish.size for length, wish in zip(found, wanted, strict=True)) >= 5


@every_list
async def test_the_default_order_is_that_of_rest(reader: Account, listing: Listing) -> None:
    items = (await reader.client.get(f"/api/v1{listing.path}")).json()
    page = await ask(reader.client, "{ " + listing.name + "(first: 20) { nodes { uuid } } }")

    assert ids(page[listing.name]) == ids(items)


@every_list
async def test_a_cursor_of_one_interface_continues_the_list_of_the_other(
    reader: Account, listing: Listing
) -> None:
    for column in listing.columns:
        for sign in ("", "-"):
            await exchange_cursors(reader.client, listing, Wish(sign + column, {}, 4))


async def test_a_page_says_where_it_is_in_its_list(reader: Account) -> None:
    async def info(**arguments: str | int | None) -> tuple[bool, bool]:
        page = await graphql(reader.client, USERS, Wish("email", {}, 3), **arguments)
        return page["pageInfo"]["hasPreviousPage"], page["pageInfo"]["hasNextPage"]

    everything = await graphql(reader.client, USERS, Wish("email", {}, 3), first=100)
    cursors = [each["cursor"] for each in everything["edges"]]

    assert everything["totalCount"] == len(cursors) == 13
    assert await info(first=13) == await info(last=13) == (False, False)
    assert await info(first=12) == (False, True)
    assert await info(last=12) == (True, False)
    assert await info(first=3, after=cursors[0]) == (True, True)
    assert await info(first=3, after=cursors[9]) == (True, False)
    assert await info(last=3, before=cursors[12]) == (True, True)
    assert await info(last=3, before=cursors[3]) == (False, True)
    assert await info(first=3, after=cursors[12]) == (True, False), "an empty page, after the end"
    assert await info(last=3, before=cursors[0]) == (False, True), "and one before the start"


async def test_a_list_without_items_is_an_empty_page(reader: Account) -> None:
    none = Wish("email", {"email": "unknown@example.com"}, 3)
    for arguments in ({"first": 3}, {"last": 3}):
        page = await graphql(reader.client, USERS, none, **arguments)

        assert page == {
            "edges": [],
            "nodes": [],
            "pageInfo": {
                "hasNextPage": False,
                "hasPreviousPage": False,
                "startCursor": None,
                "endCursor": None,
            },
            "totalCount": 0,
        }


async def test_each_item_has_its_own_cursor(reader: Account) -> None:
    wish = Wish("-created_at,email", {}, 100)
    everything = await graphql(reader.client, USERS, wish, first=100)
    for index, edge in enumerate(everything["edges"]):
        after = await graphql(reader.client, USERS, wish, first=100, after=edge["cursor"])
        before = await graphql(reader.client, USERS, wish, last=100, before=edge["cursor"])

        assert ids(after) == ids(everything)[index + 1 :]
        assert ids(before) == ids(everything)[:index]


async def test_a_cursor_of_another_list_filter_or_order_is_refused(reader: Account) -> None:
    wish = Wish("-created_at", {}, 2)
    cursor = (await graphql(reader.client, EVENTS, wish, first=2))["pageInfo"]["endCursor"]
    changed = cursor[:-1] + ("A" if cursor[-1] != "A" else "Q")
    flipped = ("A" if cursor[0] != "A" else "B") + cursor[1:]
    refusals = [
        (JOBS, wish, cursor),
        (EVENTS, Wish("created_at", {}, 2), cursor),
        (EVENTS, Wish("-created_at,id", {}, 2), cursor),
        (EVENTS, Wish("-created_at", {"object_type": "thing"}, 2), cursor),
        (EVENTS, wish, changed),
        (EVENTS, wish, flipped),
        (EVENTS, wish, cursor + cursor),
        (EVENTS, wish, ""),
        (EVENTS, wish, "\u2603"),
    ]

    await graphql(reader.client, EVENTS, wish, first=2, after=cursor)
    await graphql(reader.client, EVENTS, Wish("-created_at,-id", {}, 2), first=9, after=cursor)
    for listing, other, each in refusals:
        for arguments in ({"first": 2, "after": each}, {"last": 2, "before": each}):
            variables = {**other.variables, **arguments}
            found = await refused(reader.client, listing.query, **variables)
            assert found == ["invalid-cursor"], (listing.name, other, each)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"first": None, "last": None},
        {"first": 1, "last": 1},
        {"first": 1, "before": "x"},
        {"last": 1, "after": "x"},
        {"first": 1, "after": "x", "before": "x"},
        {"after": "x"},
        {"before": "x"},
        {"first": 0},
        {"last": 0},
        {"first": -1},
        {"last": -1},
        {"first": 101},
        {"last": 101},
    ],
    ids=str,
)
async def test_contradictory_or_missing_arguments_are_refused(
    admin: Account, arguments: dict[str, str | int | None]
) -> None:
    for listing in LISTS:
        assert await refused(admin.client, listing.query, **arguments) == ["invalid-page"]


async def test_null_is_the_same_as_no_argument(admin: Account) -> None:
    for size in ({"first": 2, "last": None}, {"first": None, "last": 2}):
        nothing = {"after": None, "before": None, "sort": None, "filter": None}
        said = await ask(admin.client, USERS.query, **size, **nothing)

        assert said == await ask(admin.client, USERS.query, **size)
        assert ids(said["page"]) == [str(admin.id)]


async def test_other_orders_and_filters_are_refused(admin: Account) -> None:
    for listing in LISTS:
        for sort in ("", "-", "password_hash", "name," * 500):
            found = await refused(admin.client, listing.query, first=1, sort=sort)
            assert found == ["validation-error"], (listing.name, sort)
    for name, value in (("offset", 1), ("limit", 1), ("cursor", "x"), ("withTotal", True)):
        wanted = {name: value}
        found = await refused(admin.client, USERS.query, first=1, filter=wanted)
        assert found == ["invalid-query"], name
    long = {"action": "x" * 65}
    assert await refused(admin.client, EVENTS.query, first=1, filter=long) == ["validation-error"]
    id_of_another_kind = {"actorId": str(uuid4())[:-1]}
    found = await refused(admin.client, EVENTS.query, first=1, filter=id_of_another_kind)
    assert found == ["invalid-query"]


@pytest.mark.parametrize(
    ("selected", "counted"),
    [
        ("nodes { id }", 0),
        ("edges { cursor } pageInfo { hasNextPage }", 0),
        ("nodes { totalCount: id }", 0),
        ("totalCount", 1),
        ("number: totalCount", 1),
        ("nodes { id } ... on UserConnection { totalCount }", 1),
        ("nodes { id } ... { ... { totalCount } }", 1),
        ("...Total", 1),
        ("... { ...Total } nodes { id }", 1),
    ],
)
async def test_a_total_is_counted_only_where_it_is_selected(
    committed_admin: Account, executed: list[str], selected: str, counted: int
) -> None:
    fragments = """
        fragment Total on UserConnection { ...Deeper }
        fragment Deeper on UserConnection { totalCount }
    """
    query = "{ users(first: 1) { " + selected + " } }"
    await ask(committed_admin.client, query + fragments * ("...Total" in selected))

    assert sum("count(" in each.lower() for each in executed) == counted, executed


async def test_a_list_that_is_selected_twice_is_counted_if_either_does(
    committed_admin: Account, executed: list[str]
) -> None:
    query = "{ users(first: 1) { nodes { email } } users(first: 1) { totalCount } }"
    assert await ask(committed_admin.client, query) == {
        "users": {"nodes": [{"email": committed_admin.email}], "totalCount": 1}
    }
    assert sum("count(" in each.lower() for each in executed) == 1
