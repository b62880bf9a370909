"""Tenants, their members and invitations in GraphQL."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import utc_now
from app.core.db.session import Database, unit_of_work
from app.core.mail import Mail
from app.features.graphql.tests.lists import (
    Listing,
    Wish,
    compare,
    exchange_cursors,
    graphql,
    wishes,
)
from app.features.graphql.tests.steps import (
    ask,
    filled,
    node_id_of,
    post,
    refused,
    statements,
    uuid_in,
)
from app.features.tenants.models import Invitation, Membership, Tenant
from app.features.users.models import User
from conftest import Account, SignIn

TENANT = """
query($id: ID!) {
  tenant(id: $id) {
    id uuid name suspendedAt deletedAt
    members(first: 20) { totalCount nodes { userId email role } }
    invitations(first: 20) { totalCount nodes { id email role } }
  }
}
"""
NAME = "query($id: ID!) { tenant(id: $id) { name } }"
NODE = "query($id: ID!) { node(id: $id) { id ... on Tenant { name } } }"
CREATE = "mutation($name: String!) { createTenant(input: {name: $name}) { role tenant { id } } }"
RENAME = (
    "mutation($id: ID!, $name: String!) { renameTenant(id: $id, input: {name: $name}) { name } }"
)
INVITE = """
mutation($id: ID!, $email: String!, $role: TenantRole) {
  inviteMember(tenantId: $id, input: {email: $email, role: $role}) { id email role }
}
"""
REVOKE = "mutation($id: ID!, $which: ID!) { revokeInvitation(tenantId: $id, id: $which) }"
ACCEPT = "mutation($token: String!) { acceptInvitation(token: $token) { role tenant { id name } } }"
CHANGE_ROLE = """
mutation($id: ID!, $user: ID!, $role: TenantRole!) {
  changeMemberRole(tenantId: $id, userId: $user, role: $role)
}
"""
REMOVE = "mutation($id: ID!, $user: ID!) { removeMember(tenantId: $id, userId: $user) }"
LEAVE = "mutation($id: ID!) { leaveTenant(id: $id) }"
TRANSFER = "mutation($id: ID!, $user: ID!) { transferTenant(id: $id, userId: $user) }"
DELETE = "mutation($id: ID!) { deleteTenant(id: $id) }"
RESTORE = "mutation($id: ID!) { restoreTenant(id: $id) { name deletedAt } }"
SUSPEND = "mutation($id: ID!) { suspendTenant(id: $id) { suspendedAt } }"
RESUME = "mutation($id: ID!) { resumeTenant(id: $id) { suspendedAt } }"
EVENTS = "{ tenantAuditEvents(first: 20) { nodes { action tenantId } totalCount } }"


@pytest.fixture
async def ada(sign_in: SignIn) -> Account:
    return await sign_in("ada@example.com", "member")


@pytest.fixture
async def bob(sign_in: SignIn) -> Account:
    return await sign_in("bob@example.com", "member")


@pytest.fixture
async def eve(sign_in: SignIn) -> Account:
    return await sign_in("eve@example.com", "member")


def user_id(account: Account) -> str:
    """The id of the account's node."""
    return node_id_of("User", account.id)


async def new_tenant(account: Account, name: str = "Acme") -> str:
    """Create a tenant; return the id of its node."""
    made = (await ask(account.client, CREATE, name=name))["createTenant"]
    assert made["role"] == "OWNER"
    return made["tenant"]["id"]


def token_in(mail: Mail) -> str:
    """The token in the link of a mail."""
    found = re.search(r"#token=([\w-]+)", mail.text)
    assert found
    return found[1]


async def join(owner: Account, newcomer: Account, id: str, sent: list[Mail], role: str) -> None:
    """Invite a user, who accepts."""
    invited = await ask(owner.client, INVITE, id=id, email=newcomer.email, role=role)
    assert invited["inviteMember"]["role"] == role
    assert sent[-1].to == newcomer.email
    accepted = await ask(newcomer.client, ACCEPT, token=token_in(sent[-1]))
    assert accepted["acceptInvitation"]["role"] == role
    assert accepted["acceptInvitation"]["tenant"]["id"] == id


async def roles_in(account: Account, id: str) -> dict[str, str]:
    """The roles of members."""
    query = "query($id: ID!) { tenant(id: $id) { members(first: 20) { nodes { email role } } } }"
    found = (await ask(account.client, query, id=id))["tenant"]["members"]["nodes"]
    return {each["email"].split("@")[0]: each["role"] for each in found}


async def test_a_tenant_is_created_renamed_and_read(ada: Account) -> None:
    id = await new_tenant(ada)
    assert (await ask(ada.client, RENAME, id=id, name="Acme Ltd"))["renameTenant"] == {
        "name": "Acme Ltd"
    }

    shown = (await ask(ada.client, TENANT, id=id))["tenant"]
    assert shown == {
        "id": id,
        "uuid": uuid_in(id),
        "name": "Acme Ltd",
        "suspendedAt": None,
        "deletedAt": None,
        "members": {
            "totalCount": 1,
            "nodes": [{"userId": user_id(ada), "email": ada.email, "role": "OWNER"}],
        },
        "invitations": {"totalCount": 0, "nodes": []},
    }
    assert (await ask(ada.client, NODE, id=id))["node"] == {"id": id, "name": "Acme Ltd"}
    in_rest = (await ada.client.get(f"/api/v1/tenants/{uuid_in(id)}")).json()
    assert in_rest["name"] == "Acme Ltd"


async def test_a_name_is_checked_as_in_rest(ada: Account) -> None:
    id = await new_tenant(ada)
    for name in ("", "https://evil.example", "x" * 201):
        assert await refused(ada.client, CREATE, name=name) == ["validation-error"]
        assert await refused(ada.client, RENAME, id=id, name=name) == ["validation-error"]


async def test_for_strangers_a_tenant_does_not_exist(
    ada: Account, eve: Account, admin: Account
) -> None:
    """Not even for operators of the service."""
    id = await new_tenant(ada)
    other = user_id(ada)
    unknown = node_id_of("Tenant", uuid4())
    requests: list[tuple[str, dict[str, str]]] = [
        (NAME, {}),
        (NODE, {}),
        (TENANT, {}),
        (RENAME, {"name": "x"}),
        (INVITE, {"email": "x@example.com"}),
        (REVOKE, {"which": node_id_of("Invitation", uuid4())}),
        (CHANGE_ROLE, {"user": other, "role": "MEMBER"}),
        (REMOVE, {"user": other}),
        (LEAVE, {}),
        (TRANSFER, {"user": other}),
        (DELETE, {}),
        (RESTORE, {}),
    ]

    async def problems(account: Account, query: str, id: str, more: dict[str, str]) -> list[Any]:
        errors = (await post(account.client, query, id=id, **more)).json()["errors"]
        return [
            {**each, "extensions": {**each["extensions"], "correlation_id": ""}} for each in errors
        ]

    for stranger in (eve, admin):
        for query, more in requests:
            seen = await problems(stranger, query, id, more)
            assert seen == await problems(stranger, query, unknown, more)
            assert [each["extensions"]["status"] for each in seen] == [404], query
    assert (await ask(ada.client, NAME, id=id))["tenant"] == {"name": "Acme"}
    assert await roles_in(ada, id) == {"ada": "OWNER"}


async def test_an_id_of_another_type_is_refused(ada: Account) -> None:
    id = await new_tenant(ada)
    for wrong in (user_id(ada), node_id_of("Session", uuid_in(id)), node_id_of("Tenant", "x")):
        for query in (NAME, LEAVE, DELETE, RESTORE):
            assert await refused(ada.client, query, id=wrong) == ["invalid-id"], query
    assert await refused(ada.client, REMOVE, id=id, user=id) == ["invalid-id"]
    assert await refused(ada.client, REVOKE, id=id, which=id) == ["invalid-id"]


async def test_who_is_invited_and_reads_the_mail_becomes_a_member(
    ada: Account, bob: Account, eve: Account, sent: list[Mail]
) -> None:
    id = await new_tenant(ada)
    await ask(ada.client, INVITE, id=id, email=bob.email)
    token = token_in(sent[-1])
    shown = (await post(ada.client, TENANT, id=id)).text
    assert bob.email in shown
    assert token not in shown

    assert await refused(eve.client, ACCEPT, token=token) == ["invalid-invitation"]
    accepted = (await ask(bob.client, ACCEPT, token=token))["acceptInvitation"]
    assert accepted == {"role": "MEMBER", "tenant": {"id": id, "name": "Acme"}}
    assert await refused(bob.client, ACCEPT, token=token) == ["invalid-invitation"]
    assert await refused(bob.client, ACCEPT, token="not a token") == ["validation-error"]
    assert await refused(ada.client, INVITE, id=id, email=bob.email) == ["already-member"]
    assert await refused(ada.client, INVITE, id=id, email="x@example.com", role="OWNER") == [
        "validation-error"
    ]
    assert await roles_in(bob, id) == {"ada": "OWNER", "bob": "MEMBER"}


async def test_an_invitation_is_revoked_once(ada: Account, bob: Account, sent: list[Mail]) -> None:
    id, other = await new_tenant(ada), await new_tenant(ada, "Other")
    which = (await ask(ada.client, INVITE, id=id, email=bob.email))["inviteMember"]["id"]

    assert await refused(ada.client, REVOKE, id=other, which=which) == ["invitation-not-found"]
    assert await ask(ada.client, REVOKE, id=id, which=which) == {"revokeInvitation": which}
    assert await refused(ada.client, REVOKE, id=id, which=which) == ["invitation-not-found"]
    assert await refused(bob.client, ACCEPT, token=token_in(sent[-1])) == ["invalid-invitation"]


async def test_plain_members_read_and_administrators_write(
    ada: Account, bob: Account, eve: Account, sent: list[Mail]
) -> None:
    id = await new_tenant(ada)
    await join(ada, bob, id, sent, "ADMIN")
    await join(bob, eve, id, sent, "MEMBER")
    new = {"email": "x@example.com"}

    shown = (await post(eve.client, TENANT, id=id)).json()
    assert shown["data"]["tenant"]["members"]["totalCount"] == 3
    assert shown["data"]["tenant"]["invitations"] is None
    assert [(each["path"], each["extensions"]["status"]) for each in shown["errors"]] == [
        (["tenant", "invitations"], 403)
    ]
    for query, variables in (
        (RENAME, {"name": "x"}),
        (INVITE, new),
        (CHANGE_ROLE, {"user": user_id(eve), "role": "ADMIN"}),
        (REMOVE, {"user": user_id(bob)}),
        (TRANSFER, {"user": user_id(eve)}),
        (DELETE, {}),
    ):
        assert await refused(eve.client, query, id=id, **variables) == ["not-allowed"], query
    for query, variables, kind in (
        (CHANGE_ROLE, {"user": user_id(bob), "role": "OWNER"}, "owners-only"),
        (CHANGE_ROLE, {"user": user_id(ada), "role": "MEMBER"}, "owners-only"),
        (REMOVE, {"user": user_id(ada)}, "owners-only"),
        (TRANSFER, {"user": user_id(bob)}, "not-allowed"),
        (DELETE, {}, "not-allowed"),
    ):
        assert await refused(bob.client, query, id=id, **variables) == [kind], query
    changed = {"user": user_id(eve), "role": "ADMIN"}
    assert await ask(bob.client, CHANGE_ROLE, id=id, **changed) == {
        "changeMemberRole": user_id(eve)
    }
    assert await roles_in(eve, id) == {"ada": "OWNER", "bob": "ADMIN", "eve": "ADMIN"}


async def test_who_leaves_or_is_removed_is_out_at_once(
    ada: Account, bob: Account, eve: Account, sent: list[Mail]
) -> None:
    id = await new_tenant(ada)
    await join(ada, bob, id, sent, "MEMBER")
    await join(ada, eve, id, sent, "MEMBER")

    assert await ask(bob.client, LEAVE, id=id) == {"leaveTenant": id}
    assert await ask(ada.client, REMOVE, id=id, user=user_id(eve)) == {"removeMember": user_id(eve)}
    for gone in (bob, eve):
        assert await refused(gone.client, NAME, id=id) == ["tenant-not-found"]
    assert await refused(ada.client, REMOVE, id=id, user=user_id(eve)) == ["member-not-found"]
    assert await refused(ada.client, LEAVE, id=id) == ["last-owner"]


async def test_a_tenant_is_transferred(ada: Account, bob: Account, sent: list[Mail]) -> None:
    id = await new_tenant(ada)
    assert await refused(ada.client, TRANSFER, id=id, user=user_id(bob)) == ["member-not-found"]
    await join(ada, bob, id, sent, "MEMBER")

    assert await ask(ada.client, TRANSFER, id=id, user=user_id(bob)) == {"transferTenant": id}
    assert await roles_in(ada, id) == {"ada": "ADMIN", "bob": "OWNER"}
    assert await refused(ada.client, DELETE, id=id) == ["not-allowed"]


async def test_a_deleted_tenant_is_out_of_reach_and_can_be_restored(
    ada: Account, bob: Account, sent: list[Mail]
) -> None:
    id = await new_tenant(ada)
    await join(ada, bob, id, sent, "ADMIN")

    assert await ask(ada.client, DELETE, id=id) == {"deleteTenant": id}
    for account in (ada, bob):
        assert await refused(account.client, NAME, id=id) == ["tenant-not-found"]
    query = "{ tenants(last: 1) { nodes { tenant { id deletedAt members(first: 1) { totalCount } } } } }"
    answer = (await post(ada.client, query)).json()
    listed = answer["data"]["tenants"]["nodes"][0]["tenant"]
    assert listed["id"] == id
    assert listed["deletedAt"]
    assert listed["members"] is None
    assert "tenant-not-found" in answer["errors"][0]["extensions"]["type"]
    assert await refused(bob.client, RESTORE, id=id) == ["owners-only"]
    assert (await ask(ada.client, RESTORE, id=id))["restoreTenant"] == {
        "name": "Acme",
        "deletedAt": None,
    }
    assert await refused(ada.client, RESTORE, id=id) == ["tenant-not-found"]
    assert await roles_in(bob, id) == {"ada": "OWNER", "bob": "ADMIN"}


async def test_operators_suspend_and_resume_without_looking_in(
    ada: Account, admin: Account
) -> None:
    id = await new_tenant(ada)
    everything = "{ allTenants(first: 100) { nodes { id name } totalCount } }"

    for query in (everything, SUSPEND, RESUME):
        assert await refused(ada.client, query, **({"id": id} if "$id" in query else {})) == [
            "not-allowed"
        ]
    listed = (await ask(admin.client, everything))["allTenants"]
    assert {"id": id, "name": "Acme"} in listed["nodes"]
    assert (await ask(admin.client, SUSPEND, id=id))["suspendTenant"]["suspendedAt"]
    assert await refused(ada.client, NAME, id=id) == ["tenant-suspended"]
    assert await refused(ada.client, RENAME, id=id, name="x") == ["tenant-suspended"]
    assert (await ask(admin.client, RESUME, id=id))["resumeTenant"] == {"suspendedAt": None}
    assert (await ask(ada.client, NAME, id=id))["tenant"] == {"name": "Acme"}
    unknown = node_id_of("Tenant", uuid4())
    assert await refused(admin.client, SUSPEND, id=unknown) == ["tenant-not-found"]

    own = await ask(admin.client, "{ tenants(first: 9) { nodes { tenant { id } } } }")
    joined = {each["tenant"]["id"] for each in own["tenants"]["nodes"]}
    for part in ("members(first: 5) { nodes { email } }", "invitations(first: 5) { totalCount }"):
        query = filled("{ allTenants(first: 100) { nodes { id part: [part] } } }", part=part)
        answer = (await post(admin.client, query)).json()
        shown = {each["id"]: each["part"] for each in answer["data"]["allTenants"]["nodes"]}
        assert {each for each, part in shown.items() if part is not None} <= joined
        assert shown[id] is None
        assert {each["extensions"]["status"] for each in answer["errors"]} <= {403, 404}


async def test_the_members_of_a_tenant_that_is_suspended_are_not_shown(
    ada: Account, admin: Account
) -> None:
    id = await new_tenant(ada)
    await ask(admin.client, SUSPEND, id=id)
    query = "{ tenants(first: 9) { nodes { tenant { id members(first: 9) { totalCount } } } } }"
    answer = (await post(ada.client, query)).json()

    shown = {
        each["tenant"]["id"]: each["tenant"]["members"]
        for each in answer["data"]["tenants"]["nodes"]
    }
    assert shown[id] is None
    assert [each["extensions"]["type"] for each in answer["errors"]] == [
        "urn:problem-type:tenant-suspended"
    ]
    assert sum(each is not None for each in shown.values()) == len(shown) - 1


async def test_the_header_chooses_the_tenant_of_its_audit_events(
    ada: Account, bob: Account, sent: list[Mail]
) -> None:
    one, other = await new_tenant(ada), await new_tenant(ada, "Other")
    await ask(ada.client, RENAME, id=other, name="Another")
    await join(ada, bob, one, sent, "MEMBER")

    async def actions(id: str) -> list[str]:
        ada.client.headers["X-Tenant-ID"] = uuid_in(id)
        found = (await ask(ada.client, EVENTS))["tenantAuditEvents"]
        assert found["totalCount"] == len(found["nodes"])
        assert {each["tenantId"] for each in found["nodes"]} == {uuid_in(id)}
        return [each["action"] for each in found["nodes"]]

    assert await actions(other) == ["tenant.renamed", "tenant.created"]
    assert await actions(one) == ["tenant.member_joined", "tenant.invited", "tenant.created"]
    bob.client.headers["X-Tenant-ID"] = uuid_in(one)
    assert await refused(bob.client, EVENTS) == ["not-allowed"]
    bob.client.headers["X-Tenant-ID"] = uuid_in(other)
    assert await refused(bob.client, EVENTS) == ["tenant-not-found"]


async def test_header_and_argument_may_not_contradict(ada: Account) -> None:
    one, other = await new_tenant(ada), await new_tenant(ada, "Other")
    ada.client.headers["X-Tenant-ID"] = uuid_in(one)

    assert (await ask(ada.client, NAME, id=one))["tenant"] == {"name": "Acme"}
    for query in (NAME, NODE, LEAVE, DELETE):
        assert await refused(ada.client, query, id=other) == ["contradictory-tenants"]
    assert await refused(ada.client, RENAME, id=other, name="x") == ["contradictory-tenants"]
    both = "query($one: ID!, $other: ID!) { one: tenant(id: $one) { name } other: tenant(id: $other) { name } }"
    answer = (await post(ada.client, both, one=one, other=other)).json()
    assert answer["data"] == {"one": {"name": "Acme"}, "other": None}
    ada.client.headers["X-Tenant-ID"] = "x"
    assert await refused(ada.client, NAME, id=one) == ["invalid-tenant"]
    assert await refused(ada.client, "{ me { email } }") == ["invalid-tenant"]


SHOWN = """{ name members(first: 9) { nodes { email } totalCount }
  invitations(first: 9) { nodes { email } } }"""
THREE = "($one: ID!, $other: ID!, $third: ID!)"


@pytest.fixture
async def three(ada: Account, bob: Account, eve: Account, sent: list[Mail]) -> dict[str, str]:
    """Ada owns the one and is a plain member of the other; the third is not hers."""
    one, other, third = await new_tenant(ada), await new_tenant(bob, "Other"), await new_tenant(eve)
    await join(bob, ada, other, sent, "MEMBER")
    await join(ada, eve, one, sent, "ADMIN")
    await ask(ada.client, INVITE, id=one, email="first@example.com")
    await ask(bob.client, INVITE, id=other, email="second@example.com")
    return {"one": one, "other": other, "third": third}


async def test_two_tenants_in_one_query_do_not_mix(
    ada: Account, bob: Account, eve: Account, three: dict[str, str]
) -> None:
    query = filled(
        """query[declared] {
      third: tenant(id: $third) [shown]
      other: tenant(id: $other) [shown]
      one: tenant(id: $one) [shown]
      again: tenant(id: $other) { name members(last: 1) { totalCount } }
    }""",
        declared=THREE,
        shown=SHOWN,
    )
    answer = (await post(ada.client, query, **three)).json()

    assert answer["data"] == {
        "third": None,
        "other": {
            "name": "Other",
            "members": {
                "nodes": [{"email": bob.email}, {"email": ada.email}],
                "totalCount": 2,
            },
            "invitations": None,
        },
        "one": {
            "name": "Acme",
            "members": {
                "nodes": [{"email": ada.email}, {"email": eve.email}],
                "totalCount": 2,
            },
            "invitations": {"nodes": [{"email": "first@example.com"}]},
        },
        "again": {"name": "Other", "members": {"totalCount": 2}},
    }
    assert {".".join(each["path"]) for each in answer["errors"]} == {"third", "other.invitations"}


async def test_mutations_of_two_tenants_do_not_mix(
    ada: Account, bob: Account, eve: Account, three: dict[str, str]
) -> None:
    writes = filled(
        """mutation[declared] {
      third: renameTenant(id: $third, input: {name: "x"}) { name }
      one: renameTenant(id: $one, input: {name: "y"}) [shown]
      other: renameTenant(id: $other, input: {name: "z"}) { name }
      kept: leaveTenant(id: $one)
      left: leaveTenant(id: $other)
    }""",
        declared=THREE,
        shown=SHOWN,
    )
    answer = (await post(ada.client, writes, **three)).json()
    assert answer["data"]["one"]["name"] == "y"
    assert answer["data"]["one"]["members"]["totalCount"] == 2
    assert [name for name, each in answer["data"].items() if each is not None] == ["one", "left"]
    types = {
        each["path"][0]: each["extensions"]["type"].split(":")[-1] for each in answer["errors"]
    }
    assert types == {"third": "tenant-not-found", "other": "not-allowed", "kept": "last-owner"}
    assert await roles_in(bob, three["other"]) == {"bob": "OWNER"}
    assert await roles_in(eve, three["third"]) == {"eve": "OWNER"}


@pytest.fixture
async def crowd(ada: Account, session: AsyncSession) -> str:
    """A tenant with a dozen members and invitations, many of the same time; its node."""
    id = await new_tenant(ada)
    start = utc_now()
    for number in range(12):
        user = User(email=f"{number}@example.com", password_hash="")
        session.add(user)
        await session.flush()
        which = {"tenant_id": UUID(uuid_in(id)), "created_at": start + timedelta(days=number % 3)}
        session.add(Membership(user_id=user.id, role="member", **which))
        session.add(
            Invitation(
                email=f"new-{number}@example.com",
                role="member",
                token_hash=uuid4().hex,
                expires_at=start + timedelta(days=9),
                **which,
            )
        )
    await session.flush()
    return id


def lists_of(id: str) -> list[Listing]:
    """The lists within a tenant."""
    path, parent = f"/tenants/{uuid_in(id)}", f'tenant(id: "{id}")'
    times = ["created_at", "id"]
    return [
        Listing(f"{path}/members", "members", times, {}, parent=parent, node="userId"),
        Listing(f"{path}/invitations", "invitations", times, {}, parent=parent),
    ]


async def test_lists_are_the_same_in_both_interfaces_however_they_are_read(
    ada: Account, crowd: str
) -> None:
    for listing in lists_of(crowd):
        for wish in wishes(listing, 12):
            assert await compare(ada.client, listing, wish) >= 12


async def test_the_lists_of_tenants_are_the_same_in_both_interfaces(
    ada: Account, admin: Account
) -> None:
    id, *_ = [await new_tenant(ada, f"Acme {number % 2}") for number in range(6)]
    ada.client.headers["X-Tenant-ID"] = uuid_in(id)
    for number in range(6):
        await ask(ada.client, RENAME, id=id, name=f"Acme {number}")
    own = Listing("/tenants", "tenants", ["created_at", "id"], {}, node="tenant { uuid }")
    everyone = Listing("/platform/tenants", "allTenants", ["created_at", "name", "id"], {})
    events = Listing(
        f"/tenants/{uuid_in(id)}/audit-events",
        "tenantAuditEvents",
        ["created_at", "id"],
        {"action": ["tenant.renamed", "x"]},
        "TenantAuditFilter",
    )
    for account, listing in ((ada, own), (admin, everyone), (ada, events)):
        for wish in wishes(listing, 10):
            await compare(account.client, listing, wish)
        await exchange_cursors(account.client, listing, Wish("-created_at", {}, 3))


async def test_a_cursor_of_one_interface_continues_the_list_of_the_other(
    ada: Account, crowd: str
) -> None:
    for listing in lists_of(crowd):
        for sort in ("created_at", "-created_at", "id"):
            await exchange_cursors(ada.client, listing, Wish(sort, {}, 5))


async def test_a_cursor_of_another_tenant_is_refused(ada: Account, crowd: str) -> None:
    other = await new_tenant(ada, "Other")
    wish = Wish("created_at", {}, 2)
    for here, there in zip(lists_of(crowd), lists_of(other), strict=True):
        cursor = (await graphql(ada.client, here, wish, first=2))["pageInfo"]["endCursor"]
        await graphql(ada.client, here, wish, first=2, after=cursor)
        for arguments in ({"first": 2, "after": cursor}, {"last": 2, "before": cursor}):
            found = await refused(ada.client, there.query, **wish.variables, **arguments)
            assert found == ["invalid-cursor"], there.name


async def test_a_cursor_opens_no_list(
    ada: Account, bob: Account, eve: Account, crowd: str, sent: list[Mail]
) -> None:
    await join(ada, bob, crowd, sent, "MEMBER")
    _, invitations = lists_of(crowd)
    wish = Wish("created_at", {}, 2)
    cursor = (await graphql(ada.client, invitations, wish, first=2))["pageInfo"]["endCursor"]
    for account, problem in [(bob, "not-allowed"), (eve, "tenant-not-found")]:
        found = await refused(
            account.client, invitations.query, **wish.variables, first=2, after=cursor
        )
        assert found == [problem]


async def test_a_cursor_continues_one_list_at_a_time(ada: Account, crowd: str) -> None:
    members, _ = lists_of(crowd)
    wish = Wish("created_at", {}, 2)
    cursor = (await graphql(ada.client, members, wish, first=2))["pageInfo"]["endCursor"]
    query = """
    query($after: String) {
      tenants(first: 9) { nodes { tenant { members(first: 2, after: $after) { nodes { email } } } } }
    }
    """

    found = await refused(ada.client, query, after=cursor)
    assert set(found) == {"one-list"}


async def fill(database: Database, owner: Account, count: int) -> None:
    """More tenants of hers, each with two members more and an invitation."""
    async with unit_of_work(database) as session:
        users = [
            User(email=f"{count}-{number}@example.com", password_hash="") for number in range(2)
        ]
        tenants = [Tenant(name=f"{count}-{number}") for number in range(count)]
        session.add_all([*users, *tenants])
        await session.flush()
        for tenant in tenants:
            roles = {owner.id: "owner", users[0].id: "admin", users[1].id: "member"}
            for user_id, role in roles.items():
                session.add(Membership(tenant_id=tenant.id, user_id=user_id, role=role))
            invitation = Invitation(
                tenant_id=tenant.id,
                email="x@example.com",
                role="member",
                token_hash=uuid4().hex,
                expires_at=utc_now(),
            )
            session.add(invitation)


MEMBERS = "members(first: 10) { nodes { email } }"
COUNTED = "members(last: 2) { edges { node { role } } totalCount }"
INVITATIONS = "invitations(first: 10) { nodes { email } totalCount }"


@pytest.mark.parametrize(
    ("selected", "count"),
    [(MEMBERS, 4), (COUNTED, 5), (INVITATIONS, 5), (f"{MEMBERS} {INVITATIONS}", 7)],
)
async def test_nested_lists_cost_the_same_for_one_tenant_as_for_a_hundred(
    committed_admin: Account,
    committed_db: Database,
    executed: list[str],
    selected: str,
    count: int,
) -> None:
    query = filled(
        "{ tenants(last: 98) { nodes { tenant { name [selected] } } } }", selected=selected
    )
    for more in (1, 98):
        await fill(committed_db, committed_admin, more)
        executed.clear()
        answer = await post(committed_admin.client, query)
        shown = answer.json()["data"]["tenants"]["nodes"][-more:]
        assert len(shown) == more
        assert all(part for each in shown for part in each["tenant"].values())
        assert statements(executed) == count, executed
    assert {len(each["tenant"].get("members", {}).get("nodes", [1] * 3)) for each in shown} == {3}


async def test_reads_of_tenants_cost_what_they_cost_in_rest(
    committed_admin: Account, executed: list[str]
) -> None:
    client = committed_admin.client
    id = await new_tenant(committed_admin)

    async def cost(path: str, query: str, **variables: str) -> tuple[int, int]:
        executed.clear()
        assert (await client.get(f"/api/v1{path}")).status_code == 200
        in_rest = statements(executed)
        executed.clear()
        await ask(client, query, **variables)
        return in_rest, statements(executed)

    one = f"/tenants/{uuid_in(id)}"
    assert await cost("/tenants", "{ tenants(first: 20) { nodes { tenant { name } } } }") == (2, 2)
    assert await cost(one, NAME, id=id) == (2, 2)
    client.headers["X-Tenant-ID"] = uuid_in(id)
    assert await cost(f"{one}/audit-events?with_total=true", EVENTS) == (3, 3)
