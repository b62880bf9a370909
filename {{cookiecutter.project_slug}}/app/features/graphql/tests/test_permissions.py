"""What a caller may do does not depend on the interface."""

from collections.abc import Sequence

import pytest
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.security.access import anyone, authenticated
from app.features.graphql.schema import core, operations
from app.features.graphql.tests.alike import NOBODY, Operation, assert_alike, holder, node
from app.features.graphql.tests.steps import ask, post
from conftest import Account, SignIn

ONE_USER, ONE_ROLE, ONE_JOB = f"/users/{NOBODY}", f"/roles/{NOBODY}", f"/jobs/{NOBODY}"
USER, ROLE, JOB = {"id": node("User")}, {"id": node("Role")}, {"id": node("Job")}
NEW_ROLE = {"name": "support", "permissions": list[str]()}

OPERATIONS: Sequence[Operation] = [
    Operation("users:read", "GET", "/users", "{ users(first: 1) { nodes { email } } }"),
    Operation("users:read", "GET", ONE_USER, "query ($id: ID!) { user(id: $id) { email } }", USER),
    Operation(
        "users:read",
        "GET",
        ONE_USER,
        "query ($id: ID!) { node(id: $id) { ... on User { email } } }",
        USER,
    ),
    Operation(
        "users:write",
        "PATCH",
        ONE_USER,
        "mutation ($id: ID!) { updateUser(id: $id, input: {isActive: false}) { email } }",
        USER,
        {"is_active": False},
    ),
    Operation(
        "users:write",
        "PUT",
        f"{ONE_USER}/roles",
        "mutation ($id: ID!) { assignRoles(id: $id, roles: []) { email } }",
        USER,
        {"roles": []},
    ),
    Operation(
        "users:write", "DELETE", ONE_USER, "mutation ($id: ID!) { deleteUser(id: $id) }", USER
    ),
    Operation("roles:read", "GET", "/roles", "{ roles(first: 1) { nodes { name } } }"),
    Operation("roles:read", "GET", ONE_ROLE, "query ($id: ID!) { role(id: $id) { name } }", ROLE),
    Operation(
        "roles:write",
        "PATCH",
        ONE_ROLE,
        'mutation ($id: ID!) { updateRole(id: $id, input: {description: "x"}) { name } }',
        ROLE,
        {"description": "x"},
    ),
    Operation(
        "roles:write", "DELETE", ONE_ROLE, "mutation ($id: ID!) { deleteRole(id: $id) }", ROLE
    ),
    Operation(
        "audit:read", "GET", "/audit-events", "{ auditEvents(first: 1) { nodes { action } } }"
    ),
    Operation("jobs:read", "GET", "/jobs", "{ jobs(first: 1) { nodes { name } } }"),
    Operation("jobs:read", "GET", ONE_JOB, "query ($id: ID!) { job(id: $id) { name } }", JOB),
    Operation(
        "jobs:retry",
        "POST",
        f"{ONE_JOB}/retry",
        "mutation ($id: ID!) { retryJob(id: $id) { name } }",
        JOB,
    ),
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
async def test_a_permission_means_the_same(
    operation: Operation, session: AsyncSession, sign_in: SignIn, client: AsyncClient
) -> None:
    await assert_alike(operation, session, sign_in, client)


SIGNED_IN = [
    "{ me { email } }",
    "{ sessions { id } }",
    'mutation { updateMe(input: {fullName: "A"}) { email } }',
    "mutation { deleteMe }",
    "mutation { logout }",
    "mutation { logoutAll }",
    'mutation { revokeSession(id: "' + node("Session") + '") }',
]


@pytest.mark.parametrize("query", SIGNED_IN)
async def test_strangers_have_no_account(client: AsyncClient, query: str) -> None:
    for token in ("", "Bearer nonsense"):
        client.headers["Authorization"] = token
        answer = (await post(client, query)).json()
        assert answer["errors"][0]["extensions"]["status"] == 401, answer
        assert set(answer["data"].values()) == {None}


async def test_what_a_caller_does_not_hold_is_not_granted(
    session: AsyncSession, sign_in: SignIn
) -> None:
    account = await holder(session, sign_in, "roles:write", "users:write")
    create = Operation(
        "roles:write",
        "POST",
        "/roles",
        """mutation { createRole(input: {name: "boss", permissions: ["*"]}) { id } }""",
        body={"name": "boss", "permissions": ["*"]},
    )
    assign = Operation(
        "users:write",
        "PUT",
        f"/users/{account.id}/roles",
        'mutation ($id: ID!) { assignRoles(id: $id, roles: ["admin"]) { id } }',
        {"id": node("User", account.id)},
        {"roles": ["admin"]},
    )
    for operation in (create, assign):
        assert await operation.in_rest(account.client) == "urn:problem-type:escalation"
        assert await operation.in_graphql(account.client) == "urn:problem-type:escalation"


async def test_the_actor_of_an_event_is_shown_to_readers_of_users(
    session: AsyncSession, sign_in: SignIn, admin: Account
) -> None:
    await ask(admin.client, 'mutation { updateMe(input: {fullName: "Root"}) { id } }')
    query = """{ auditEvents(first: 1, filter: {action: "user.changed"}) {
      nodes { actorId actor { id email } }
    } }"""
    reader = await holder(session, sign_in, "audit:read")
    answer = (await post(reader.client, query)).json()
    more = await holder(session, sign_in, "audit:read", "users:read")

    seen = {"actorId": str(admin.id), "actor": None}
    assert answer["data"]["auditEvents"]["nodes"] == [seen]
    assert answer["errors"][0]["extensions"]["type"] == "urn:problem-type:not-allowed"
    actor = {"id": node("User", admin.id), "email": admin.email}
    assert await ask(more.client, query) == {"auditEvents": {"nodes": [{**seen, "actor": actor}]}}


async def test_the_roles_of_a_user_are_shown_to_readers_of_roles(
    session: AsyncSession, sign_in: SignIn
) -> None:
    reader = await holder(session, sign_in, "users:read")
    answer = (
        await post(reader.client, "{ users(first: 5) { nodes { email roles { name } } } }")
    ).json()

    assert answer["data"]["users"]["nodes"] == [{"email": reader.email, "roles": None}]
    [error] = answer["errors"]
    assert error["extensions"]["type"] == "urn:problem-type:not-allowed"
    assert error["message"] == "This requires the permission roles:read."


async def test_everything_of_another_account_is_hidden(member: Account, sign_in: SignIn) -> None:
    other = await sign_in("other@example.com", "member")
    [theirs] = await sessions_of(other)
    for query in (
        "query ($id: ID!) { user(id: $id) { email } }",
        "query ($id: ID!) { node(id: $id) { id } }",
        "mutation ($id: ID!) { deleteUser(id: $id) }",
    ):
        answer = await post(member.client, query, id=node("User", other.id))
        assert answer.json()["errors"][0]["extensions"]["status"] == 403
    revoke = "mutation ($id: ID!) { revokeSession(id: $id) }"
    answer = await post(member.client, revoke, id=theirs)
    assert answer.json()["errors"][0]["extensions"]["type"] == "urn:problem-type:session-not-found"
    assert await sessions_of(other) == [theirs]


async def sessions_of(account: Account) -> list[str]:
    """The ids of the sessions that the account itself sees."""
    data = await ask(account.client, "{ sessions { id } }")
    return [each["id"] for each in data["sessions"]]


async def test_a_revoked_session_is_out_at_the_next_request(member: Account) -> None:
    [own] = await sessions_of(member)
    await ask(member.client, "mutation ($id: ID!) { revokeSession(id: $id) }", id=own)

    answer = (await post(member.client, "{ me { email } }")).json()

    assert answer["errors"][0]["extensions"]["status"] == 401


async def test_each_mutation_of_a_request_asks_who_calls(admin: Account, sign_in: SignIn) -> None:
    another = await sign_in("another@example.com", "admin")
    demote = """mutation ($id: ID!) {
      assignRoles(id: $id, roles: ["member"]) { roleNames roles { name } }
      createRole(input: {name: "late", permissions: []}) { name }
      logout
      updateMe(input: {fullName: "Gone"}) { fullName }
    }"""
    answer = (await post(another.client, demote, id=node("User", another.id))).json()

    assert answer["data"]["assignRoles"] == {"roleNames": ["member"], "roles": [{"name": "member"}]}
    assert [answer["data"][name] for name in ("createRole", "logout", "updateMe")] == [
        None,
        True,
        None,
    ]
    problems = [each["extensions"]["type"].rpartition(":")[2] for each in answer["errors"]]
    assert problems == ["not-allowed", "invalid-token"]
    shown = await ask(
        admin.client, "query ($id: ID!) { user(id: $id) { fullName } }", id=node("User", another.id)
    )
    assert shown == {"user": {"fullName": ""}}


def test_operations_are_listed_with_their_permissions() -> None:
    """As `app routes` shows them."""
    access = {(kind, name): each for _, kind, name, each in operations()}

    assert {kind for kind, _ in access} == {"QUERY", "MUTATION"}
    assert access["MUTATION", "updateUser"].scopes == ["users:write"]
    assert access["QUERY", "me"].dependency is authenticated
    assert access["MUTATION", "login"].dependency is anyone
    assert core.query_type
    assert core.mutation_type
    assert len(access) == len(core.query_type.fields) + len(core.mutation_type.fields)
