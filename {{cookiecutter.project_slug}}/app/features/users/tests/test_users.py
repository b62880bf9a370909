"""Accounts and roles: who may change what."""

from asyncio import gather
from collections import Counter

import pytest
from httpx2 import AsyncClient

from app.core.db.session import Database
from app.features.users import repository, roles, service
from conftest import Account, SignIn, make_account
from tests.meanwhile import meanwhile

USERS, ROLES = "/api/v1/users", "/api/v1/roles"


async def role(admin: Account, name: str, *permissions: str) -> str:
    """Create a role; return its id."""
    new = {"name": name, "permissions": list(permissions)}
    answer = await admin.client.post(ROLES, json=new)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def test_people_see_and_change_their_own_account(member: Account) -> None:
    changed = await member.client.patch(f"{USERS}/me", json={"full_name": "Ada"})

    assert changed.status_code == 200
    assert (await member.client.get(f"{USERS}/me")).json()["full_name"] == "Ada"
    assert "password" not in changed.text


@pytest.mark.parametrize(
    "extra",
    [{"roles": ["admin"]}, {"is_active": True}, {"email": "x@example.com"}, {"is_superuser": True}],
    ids=str,
)
async def test_people_change_nothing_else_of_it(member: Account, extra: dict[str, object]) -> None:
    answer = await member.client.patch(f"{USERS}/me", json={"full_name": "Ada"} | extra)

    assert answer.status_code == 422


async def test_people_delete_their_account(client: AsyncClient, member: Account) -> None:
    assert (await member.client.delete(f"{USERS}/me")).status_code == 204
    assert (await member.client.get(f"{USERS}/me")).status_code == 401


async def test_members_may_not_look_at_others(admin: Account, member: Account) -> None:
    for path in (USERS, f"{USERS}/{admin.id}", f"{USERS}/{member.id}", ROLES):
        assert (await member.client.get(path)).status_code == 403


async def test_accounts_are_listed_and_filtered(admin: Account, member: Account) -> None:
    everybody = (await admin.client.get(USERS, params={"sort": "email"})).json()["items"]
    found = (await admin.client.get(USERS, params={"email": member.email})).json()["items"]
    admins = (await admin.client.get(USERS, params={"role": "admin"})).json()["items"]

    assert [user["email"] for user in everybody] == [admin.email, member.email]
    assert [user["id"] for user in found] == [str(member.id)]
    assert [user["id"] for user in admins] == [str(admin.id)]


async def test_a_role_gives_its_permissions_at_once(admin: Account, member: Account) -> None:
    await role(admin, "support", "users:read")
    assert (await member.client.get(USERS)).status_code == 403

    wanted = {"roles": ["member", "support"]}
    given = await admin.client.put(f"{USERS}/{member.id}/roles", json=wanted)

    assert given.status_code == 200
    assert [found["name"] for found in given.json()["roles"]] == ["member", "support"]
    assert (await member.client.get(USERS)).status_code == 200
    await admin.client.put(f"{USERS}/{member.id}/roles", json={"roles": []})
    assert (await member.client.get(USERS)).status_code == 403


async def test_a_grant_requires_the_permissions_granted(
    admin: Account, member: Account, sign_in: SignIn
) -> None:
    manager_role = await role(admin, "manager", "users:write", "roles:write", "roles:read")
    manager = await sign_in("manager@example.com", "manager")
    auditor = {"name": "auditor", "permissions": ["audit:read"]}

    for answer in (
        await manager.client.put(f"{USERS}/{manager.id}/roles", json={"roles": ["admin"]}),
        await manager.client.put(f"{USERS}/{member.id}/roles", json={"roles": ["admin"]}),
        await manager.client.post(ROLES, json=auditor),
        await manager.client.post(ROLES, json={"name": "root", "permissions": ["*"]}),
        await manager.client.patch(f"{ROLES}/{manager_role}", json={"permissions": ["*"]}),
        await manager.client.patch(f"{USERS}/{admin.id}", json={"is_active": False}),
        await manager.client.put(f"{USERS}/{admin.id}/roles", json={"roles": []}),
        await manager.client.delete(f"{USERS}/{admin.id}"),
    ):
        assert answer.status_code == 403
        assert answer.json()["type"] == "urn:problem-type:escalation"


async def test_an_account_is_switched_off_by_a_truth_value(admin: Account, member: Account) -> None:
    for value in (0, "no", "false"):
        answer = await admin.client.patch(f"{USERS}/{member.id}", json={"is_active": value})
        assert answer.status_code == 422, value

    assert (await member.client.get(f"{USERS}/me")).json()["is_active"] is True


async def test_the_last_administrator_stays(admin: Account) -> None:
    for answer in (
        await admin.client.patch(f"{USERS}/{admin.id}", json={"is_active": False}),
        await admin.client.put(f"{USERS}/{admin.id}/roles", json={"roles": ["member"]}),
        await admin.client.delete(f"{USERS}/{admin.id}"),
        await admin.client.delete(f"{USERS}/me"),
    ):
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:problem-type:last-administrator"


async def test_two_administrators_who_remove_each_other_do_not_both_succeed(
    committed_admin: Account, committed_db: Database, committed_client: AsyncClient
) -> None:
    first = committed_admin
    headers = dict(committed_client.headers)
    second = await make_account(committed_db, committed_client, "second@example.com", "admin")
    as_first = {"Authorization": headers["authorization"]}
    answers = await gather(
        committed_client.delete(f"{USERS}/{second.id}", headers=as_first),
        committed_client.delete(f"{USERS}/{first.id}"),
    )

    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[204] == 1, statuses


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "", {"full_name": "Ada"}),
        ("PATCH", "", {"is_active": False}),
        ("PUT", "/roles", {"roles": ["member"]}),
        ("PUT", "/roles", {"roles": []}),
        ("DELETE", "", None),
    ],
    ids=str,
)
async def test_an_account_that_is_deleted_meanwhile_is_not_found(
    committed_admin: Account,
    committed_db: Database,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    body: object,
) -> None:
    """Unless the deletion has to wait, and comes second."""
    client, headers = committed_admin.client, dict(committed_admin.client.headers)
    member = await make_account(committed_db, client, "member@example.com", "member")
    client.headers.update(headers)
    url = f"{USERS}/{member.id}"
    begun = meanwhile(monkeypatch, service, "get", lambda: client.delete(url))

    answer = await client.request(method, url + path, json=body)

    deleted = (await begun[0]).status_code
    assert (answer.status_code, deleted) in {(404, 204), (200, 204), (204, 404)}
    assert (await client.get(url)).status_code == 404


async def test_ones_own_account_that_is_deleted_meanwhile_is_not_found(
    committed_admin: Account, committed_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, as_admin = committed_admin.client, dict(committed_admin.client.headers)
    member = await make_account(committed_db, client, "member@example.com", "member")
    url = f"{USERS}/{member.id}"
    begun = meanwhile(monkeypatch, service, "get", lambda: client.delete(url, headers=as_admin))

    answer = await client.patch(f"{USERS}/me", json={"full_name": "Ada"})

    deleted = (await begun[0]).status_code
    assert (answer.status_code, deleted) in {(404, 204), (200, 204)}


@pytest.mark.parametrize(
    ("method", "body"),
    [("PATCH", {"description": "x"}), ("PATCH", {"permissions": []}), ("DELETE", None)],
    ids=str,
)
async def test_a_role_that_is_deleted_meanwhile_is_not_found(
    committed_admin: Account, monkeypatch: pytest.MonkeyPatch, method: str, body: object
) -> None:
    client, made = committed_admin.client, await role(committed_admin, "support")
    url = f"{ROLES}/{made}"
    begun = meanwhile(monkeypatch, roles, "get", lambda: client.delete(url))

    answer = await client.request(method, url, json=body)

    deleted = (await begun[0]).status_code
    assert (answer.status_code, deleted) in {(404, 204), (200, 204), (204, 404)}


async def test_a_role_that_is_deleted_meanwhile_is_not_assigned(
    committed_admin: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, made = committed_admin.client, await role(committed_admin, "support")
    begun = meanwhile(
        monkeypatch, repository, "roles_named", lambda: client.delete(f"{ROLES}/{made}")
    )

    url, wanted = f"{USERS}/{committed_admin.id}/roles", {"roles": ["admin", "support"]}
    answer = await client.put(url, json=wanted)

    deleted = (await begun[0]).status_code
    assert (answer.status_code, deleted) in {(404, 204), (200, 409)}


async def test_built_in_roles_stay(admin: Account) -> None:
    roles = {item["name"]: item["id"] for item in (await admin.client.get(ROLES)).json()["items"]}

    weaker = await admin.client.patch(f"{ROLES}/{roles['admin']}", json={"permissions": []})
    gone = await admin.client.delete(f"{ROLES}/{roles['member']}")

    assert (weaker.status_code, gone.status_code) == (409, 409)


async def test_roles_are_added_changed_and_removed(admin: Account, member: Account) -> None:
    made = await role(admin, "support", "users:read")
    twice = await admin.client.post(ROLES, json={"name": "support", "permissions": []})
    changed = await admin.client.patch(f"{ROLES}/{made}", json={"description": "Helps"})
    await admin.client.put(f"{USERS}/{member.id}/roles", json={"roles": ["support"]})
    used = await admin.client.delete(f"{ROLES}/{made}")
    await admin.client.put(f"{USERS}/{member.id}/roles", json={"roles": []})
    removed = await admin.client.delete(f"{ROLES}/{made}")

    assert (twice.status_code, used.status_code, removed.status_code) == (409, 409, 204)
    assert changed.json()["description"] == "Helps"
    assert changed.json()["permissions"] == ["users:read"]
    assert (await admin.client.get(f"{ROLES}/{made}")).status_code == 404


async def test_an_unknown_role_is_refused(admin: Account, member: Account) -> None:
    wanted = {"roles": ["member", "wizard"]}
    answer = await admin.client.put(f"{USERS}/{member.id}/roles", json=wanted)

    assert answer.status_code == 422
    assert "wizard" in answer.json()["detail"]
