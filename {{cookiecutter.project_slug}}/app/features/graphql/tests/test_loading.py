"""What a query costs the database: statements, and connections held at once."""

import asyncio
from dataclasses import replace

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select

from app.core.db.session import Database, unit_of_work
from app.core.db.slots import Slots
from app.core.settings import Settings
from app.features.audit.models import AuditEvent
from app.features.graphql.tests.steps import ask, node_id_of, statements
from app.features.users.models import Role, User
from conftest import PASSWORD, Account, client_of


async def fill(database: Database, count: int) -> None:
    """More accounts, each with two roles and an action on record."""
    async with unit_of_work(database) as session:
        editor = await session.scalar(select(Role).where(Role.name == "editor"))
        editor = editor or Role(name="editor", permissions=[])
        member = await session.scalar(select(Role).where(Role.name == "member"))
        assert member
        for number in range(count):
            user = User(
                email=f"{count}-{number}@example.com", password_hash="", roles=[editor, member]
            )
            session.add(user)
            await session.flush()
            session.add(AuditEvent(action="x", object_type="x", actor_id=user.id))


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("{ users(first: 100) { nodes { email roles { name } } } }", 4),
        ("{ users(last: 100) { nodes { email roles { name } } totalCount } }", 5),
        ("{ auditEvents(first: 100) { nodes { actor { email roles { name } } } } }", 5),
        (
            "{ auditEvents(first: 100) { edges { node { action actor { roles { permissions } } } }"
            " nodes { actor { fullName roleNames roles { name } } } } }",
            5,
        ),
    ],
)
async def test_a_nested_list_costs_the_same_for_one_parent_as_for_a_hundred(
    committed_admin: Account,
    committed_db: Database,
    executed: list[str],
    query: str,
    count: int,
) -> None:
    found: list[int] = []
    for more in (1, 100):
        await fill(committed_db, more)
        executed.clear()
        page = next(iter((await ask(committed_admin.client, query)).values()))
        found.append(len(page["nodes"]))
        assert statements(executed) == count, executed

    assert found[1] == 100


@pytest.mark.parametrize(
    ("path", "query", "count"),
    [
        ("/users/me", "{ me { email roleNames } }", 1),
        ("/users/[id]", '{ user(id: "[node]") { email roleNames } }', 3),
        ("/users/[id]", '{ node(id: "[node]") { id } }', 3),
        ("/users?limit=20", "{ users(first: 20) { nodes { email roleNames } } }", 3),
        ("/users?with_total=true", "{ users(first: 20) { nodes { id } totalCount } }", 4),
        ("/roles", "{ roles(first: 20) { nodes { name } } }", 2),
        ("/audit-events", "{ auditEvents(first: 20) { nodes { action } } }", 2),
        ("/jobs", "{ jobs(first: 20) { nodes { name } } }", 2),
        ("/auth/sessions", "{ sessions { id } }", 2),
    ],
)
async def test_a_read_costs_what_it_costs_in_rest(
    committed_admin: Account, executed: list[str], path: str, query: str, count: int
) -> None:
    own = str(committed_admin.id)
    answer = await committed_admin.client.get(f"/api/v1{path.replace('[id]', own)}")
    assert answer.status_code == 200, answer.text
    assert statements(executed) == count, executed

    executed.clear()
    await ask(committed_admin.client, query.replace("[node]", node_id_of("User", own)))
    assert statements(executed) == count, executed


async def test_the_caller_is_authenticated_once_for_all_fields(
    committed_admin: Account, executed: list[str]
) -> None:
    query = "{ one: me { email } two: me { roles { name } } roles(first: 1) { nodes { id } } }"
    await ask(committed_admin.client, query)

    assert statements(executed) == 3, executed


LISTS = """
    users(first: 100) { nodes { email roles { name } } totalCount }
    last: users(last: 50) { edges { node { roles { permissions } } } }
    roles(first: 20) { nodes { name } totalCount }
    auditEvents(first: 100) { nodes { actor { email roles { name } } } totalCount }
    jobs(first: 20) { nodes { state } totalCount }
    sessions { id }
    me { email roles { name } }
    again: me { email roles { name } }
    user(id: $user) { roles { name } }
    node(id: $user) { ... on User { email roles { name } } }
"""
WRITES = """
    updateMe(input: {fullName: "Ada"}) { fullName roles { name } }
    createRole(input: {name: "clerk", permissions: []}) { id name }
    assignRoles(id: $user, roles: ["admin", "clerk"]) { roleNames roles { name } }
    updateUser(id: $user, input: {fullName: "Grace"}) { email roles { name } }
    login(email: $email, password: $password) { tokenType }
"""


class Counted(Slots):
    """Notes how many were taken at once."""

    taken = most = 0

    async def enter(self) -> None:
        """Take one."""
        self.taken += 1
        self.most = max(self.most, self.taken)
        await super().enter()

    def release(self) -> None:
        """Give it back."""
        self.taken -= 1
        super().release()


async def read_and_write(client: AsyncClient, account: Account, requests: int) -> None:
    """Select many lists and call many mutations; so many such requests at once."""
    user = node_id_of("User", account.id)
    client.headers = account.client.headers
    reads = "query($user: ID!) { " + LISTS + " }"
    found, *_ = await asyncio.gather(*(ask(client, reads, user=user) for _ in range(requests)))
    assert len(found["users"]["nodes"]) == found["users"]["totalCount"] == 6

    writes = "mutation($user: ID!, $email: String!, $password: String!) { " + WRITES + " }"
    written = await ask(client, writes, user=user, email=account.email, password=PASSWORD)
    assert [each["name"] for each in written["assignRoles"]["roles"]] == ["admin", "clerk"]


async def test_no_request_waits_for_a_connection_while_it_holds_one(
    app: FastAPI, committed_admin: Account, committed_db: Database, settings: Settings
) -> None:
    """With a single connection, many fields, and several requests at once, still get an answer."""
    await fill(committed_db, 5)
    alone = replace(committed_db, slots=Slots(1, 5.0))
    async with client_of(app, alone, settings) as client:
        await read_and_write(client, committed_admin, 4)


async def test_a_request_holds_one_connection_at_a_time(
    app: FastAPI, committed_admin: Account, committed_db: Database, settings: Settings
) -> None:
    await fill(committed_db, 5)
    slots = Counted(10, 5.0)
    async with client_of(app, replace(committed_db, slots=slots), settings) as client:
        await read_and_write(client, committed_admin, 1)

    assert (slots.most, slots.taken) == (1, 0)
