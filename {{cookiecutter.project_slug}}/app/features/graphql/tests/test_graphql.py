"""Requests and responses at `/graphql`."""

import logging
import re

import pytest
from httpx2 import AsyncClient
from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.errors import DatabaseUnavailable
from app.core.service import Service
from app.features.graphql import metrics
from app.features.graphql.tests.alike import node
from app.features.graphql.tests.steps import URL, ask, node_id_of, post, refused
from app.features.users import service as users
from conftest import PASSWORD, Account, SignIn

LOGIN = """mutation SignIn($email: String!, $password: String!) {
  login(email: $email, password: $password) { accessToken refreshToken tokenType expiresIn }
}"""


async def test_a_client_signs_in_and_out(member: Account, client: AsyncClient) -> None:
    signed_in = await ask(client, LOGIN, email=member.email, password=PASSWORD)
    client.headers["Authorization"] = f"Bearer {signed_in['login']['accessToken']}"
    assert await ask(client, "{ me { email } }") == {"me": {"email": member.email}}

    renew = "mutation ($token: String!) { refresh(refreshToken: $token) { accessToken } }"
    renewed = await ask(client, renew, token=signed_in["login"]["refreshToken"])
    client.headers["Authorization"] = f"Bearer {renewed['refresh']['accessToken']}"

    assert await ask(client, "mutation { logout }") == {"logout": True}
    assert await refused(client, "{ me { email } }") == ["invalid-token"]


async def test_a_wrong_password_is_refused_as_in_rest(member: Account, client: AsyncClient) -> None:
    for email in (member.email, "unknown@example.com", "no address"):
        answer = await post(client, LOGIN, email=email, password="wrong")

        [error] = answer.json()["errors"]
        assert error["extensions"]["type"] == "urn:problem-type:wrong-credentials"
        assert error["extensions"]["status"] == 401


async def test_the_account_is_that_of_rest(member: Account) -> None:
    query = (
        "{ me { id uuid email fullName isActive emailVerifiedAt createdAt updatedAt roleNames } }"
    )
    found = (await ask(member.client, query))["me"]
    rest = (await member.client.get("/api/v1/users/me")).json()

    assert found == {
        "id": node("User", member.id),
        "uuid": rest["id"],
        "email": rest["email"],
        "fullName": rest["full_name"],
        "isActive": rest["is_active"],
        "emailVerifiedAt": rest["email_verified_at"],
        "createdAt": rest["created_at"],
        "updatedAt": rest["updated_at"],
        "roleNames": ["member"],
    }


async def test_accounts_are_changed_as_in_rest(admin: Account, sign_in: SignIn) -> None:
    other = await sign_in("other@example.com", "member")
    user = {"id": node("User", other.id)}
    update = """mutation ($id: ID!, $input: UserChange!) {
      updateUser(id: $id, input: $input) { fullName isActive }
    }"""
    assign = 'mutation ($id: ID!) { assignRoles(id: $id, roles: ["admin"]) { roleNames } }'

    changed = await ask(admin.client, update, **user, input={"fullName": "Ada"})
    assert changed == {"updateUser": {"fullName": "Ada", "isActive": True}}
    assert await ask(admin.client, assign, **user) == {"assignRoles": {"roleNames": ["admin"]}}
    changed = await ask(admin.client, update, **user, input={"isActive": False})
    assert changed == {"updateUser": {"fullName": "Ada", "isActive": False}}
    assert await refused(other.client, "{ me { email } }") == ["invalid-token"]

    deleted = await ask(admin.client, "mutation ($id: ID!) { deleteUser(id: $id) }", **user)
    assert deleted == {"deleteUser": user["id"]}
    assert await refused(admin.client, "query ($id: ID!) { user(id: $id) { id } }", **user) == [
        "user-not-found"
    ]


async def test_an_account_changes_and_deletes_itself(member: Account) -> None:
    update = 'mutation { updateMe(input: {fullName: "Grace"}) { fullName } }'

    assert await ask(member.client, update) == {"updateMe": {"fullName": "Grace"}}
    assert await ask(member.client, "mutation { deleteMe }") == {
        "deleteMe": node("User", member.id)
    }
    assert await refused(member.client, "{ me { email } }") == ["invalid-token"]


async def test_roles_are_changed_as_in_rest(admin: Account) -> None:
    create = 'mutation { createRole(input: {name: "support", permissions: ["users:read"]}) { id } }'
    role = {"id": (await ask(admin.client, create))["createRole"]["id"]}
    update = """mutation ($id: ID!) {
      updateRole(id: $id, input: {description: "Help", permissions: []}) { description permissions }
    }"""

    assert await refused(admin.client, create) == ["role-name-taken"]
    assert await ask(admin.client, update, **role) == {
        "updateRole": {"description": "Help", "permissions": []}
    }
    shown = await ask(
        admin.client, "query ($id: ID!) { node(id: $id) { ... on Role { name } } }", **role
    )
    assert shown == {"node": {"name": "support"}}
    deleted = await ask(admin.client, "mutation ($id: ID!) { deleteRole(id: $id) }", **role)
    assert deleted == {"deleteRole": role["id"]}


async def test_all_sessions_end_at_once(member: Account) -> None:
    assert await ask(member.client, "mutation { logoutAll }") == {"logoutAll": True}
    assert await refused(member.client, "{ me { email } }") == ["invalid-token"]


async def test_each_mutation_of_a_request_is_a_transaction(admin: Account) -> None:
    answer = await post(
        admin.client,
        """mutation {
          first: createRole(input: {name: "one", permissions: []}) { name }
          again: createRole(input: {name: "one", permissions: []}) { name }
          last: createRole(input: {name: "two", permissions: []}) { name }
        }""",
    )

    assert answer.json()["data"] == {
        "first": {"name": "one"},
        "again": None,
        "last": {"name": "two"},
    }
    assert [each["path"] for each in answer.json()["errors"]] == [["again"]]
    names = await ask(admin.client, "{ roles(first: 10) { nodes { name } } }")
    assert [each["name"] for each in names["roles"]["nodes"]] == ["admin", "member", "one", "two"]


async def test_what_is_refused_leaves_what_is_not(member: Account) -> None:
    answer = (
        await post(member.client, "{ me { email } users(first: 1) { nodes { email } } }")
    ).json()

    assert answer["data"] == {"me": {"email": member.email}, "users": None}
    [error] = answer["errors"]
    assert error["path"] == ["users"]
    assert error["locations"] == [{"line": 1, "column": 16}]
    assert error["message"] == "This requires the permission users:read."
    assert error["extensions"]["correlation_id"]


async def test_broken_rules_are_named_as_in_the_schema(admin: Account) -> None:
    update = (
        """mutation ($id: ID!) { updateUser(id: $id, input: {fullName: "a\\u0000b"}) { id } }"""
    )
    answer = (await post(admin.client, update, id=node("User", admin.id))).json()

    [error] = answer["errors"]
    assert error["extensions"]["type"] == "urn:problem-type:validation-error"
    assert error["extensions"]["status"] == 422
    assert error["extensions"]["error_count"] == 1
    [rule] = error["extensions"]["errors"]
    assert (rule["location"], rule["pointer"]) == ("arguments", "/fullName")
    assert rule["rule"] == "string_pattern_mismatch"


@pytest.mark.parametrize("id", ["", "x", "VXNlcg==", "VXNlcjox", node("Role"), node("Nothing")])
async def test_an_id_is_that_of_its_type(admin: Account, id: str) -> None:
    answer = await post(admin.client, "query ($id: ID!) { user(id: $id) { email } }", id=id)

    [error] = answer.json()["errors"]
    assert error["extensions"]["status"] in {400, 422}, error
    assert "unhandled" not in error["message"]


@pytest.mark.parametrize("kind", ["Query", "PageInfo", "Node", "Session", "AuditEvent", "UUID"])
async def test_only_what_can_be_read_by_its_id_is_a_node(admin: Account, kind: str) -> None:
    problems = await refused(
        admin.client, "query ($id: ID!) { node(id: $id) { id } }", id=node(kind)
    )

    assert problems == ["node-not-found"]


async def test_a_bug_is_not_explained(
    member: Account, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("the secret of the house")

    def report(service: Service, error: Exception, where: str) -> None:
        reported.append(f"{where}: {type(error).__name__}")

    reported: list[str] = []
    monkeypatch.setattr(Service, "report", report)
    monkeypatch.setattr(users, "own_account", broken)
    answer = await post(member.client, "{ me { email } }")

    assert answer.json()["data"] == {"me": None}
    [error] = answer.json()["errors"]
    assert error["message"] == "Something went wrong on our side."
    assert error["extensions"]["status"] == 500
    assert "secret" not in answer.text
    [record] = [each for each in caplog.records if "unhandled_exception" in str(each.msg)]
    assert record.levelno == logging.ERROR
    assert reported == ["POST /graphql: RuntimeError"]


async def test_an_unavailable_database_is_reported_as_such(
    admin: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object) -> None:
        raise DatabaseUnavailable

    monkeypatch.setattr("app.features.graphql.types.users.service.get", gone)
    query = 'mutation { updateMe(input: {fullName: "Ada"}) { email } }'
    answer = (await post(admin.client, query)).json()

    [error] = answer["errors"]
    assert error["extensions"]["status"] == 503
    assert error["extensions"]["type"] == "urn:problem-type:database-unavailable"


async def test_one_of_several_operations_is_chosen(member: Account) -> None:
    query = "query A { me { email } } query B { me { id } }"
    for name, status in [("A", 200), ("C", 400), (None, 400)]:
        sent = {"query": query, "operationName": name}
        answer = await member.client.post(URL, json=sent)
        assert answer.status_code == status
        assert ("data" in answer.json()) == (status == 200)


async def test_audit_events_of_mutations_name_the_actor(admin: Account) -> None:
    await ask(admin.client, 'mutation { updateMe(input: {fullName: "Root"}) { id } }')
    rest = (await admin.client.get("/api/v1/audit-events?action=user.changed")).json()["items"]

    [event] = rest
    assert event["actor_id"] == str(admin.id)
    assert event["after"] == {"full_name": "Root"}
    assert event["correlation_id"]


def sample(metric: str, **labels: str) -> float:
    """The value of a metric."""
    return REGISTRY.get_sample_value(metric, labels) or 0


async def test_operations_are_measured_by_name(member: Account) -> None:
    labels = {"operation": "query", "name": "Mine"}
    before = sample("graphql_operations_total", **labels, outcome="ok")
    await ask(member.client, "query Mine { me { email } }")
    await post(member.client, "query Mine { users(first: 1) { nodes { id } } }")

    assert sample("graphql_operations_total", **labels, outcome="ok") == before + 1
    assert sample("graphql_operations_total", **labels, outcome="error") >= 1
    assert sample("graphql_operation_duration_seconds_count", **labels) >= 2


def test_names_that_clients_make_up_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "known", set[str]())
    names = {metrics.bounded(f"Q{number}") for number in range(1000)}

    assert len(names) == metrics.MOST_NAMES + 1
    assert metrics.bounded("Q1") == "Q1"
    assert metrics.bounded("Q999") == metrics.OTHER
    assert metrics.bounded(None) == ""


async def test_nothing_of_a_request_is_logged_but_its_path(
    client: AsyncClient, caplog: pytest.LogCaptureFixture, session: AsyncSession
) -> None:
    caplog.set_level(logging.DEBUG)
    await post(client, LOGIN, email="stranger@example.com", password="sesame-open-7")

    text = " ".join(
        str(record.__dict__) for record in caplog.records if record.name.startswith("app")
    )
    assert not re.search("sesame|SignIn|stranger@", text)


async def test_a_change_of_another_version_is_refused(admin: Account) -> None:
    new: dict[str, object] = {"name": "clerk", "permissions": []}
    made = (await admin.client.post("/api/v1/roles", json=new)).json()
    update = """mutation ($id: ID!, $version: Int) {
      updateRole(id: $id, input: {description: "x"}, ifVersion: $version) { version }
    }"""
    role = node_id_of("Role", made["id"])

    assert await ask(admin.client, update, id=role, version=1) == {"updateRole": {"version": 2}}
    assert await refused(admin.client, update, id=role, version=1) == ["version-changed"]
    delete = "mutation ($id: ID!) { deleteRole(id: $id, ifVersion: 1) }"
    assert await refused(admin.client, delete, id=role) == ["version-changed"]
