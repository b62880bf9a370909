"""Tenants, their members and invitations, over HTTP."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.db.base import utc_now
from app.core.db.session import Database, reading, unit_of_work
from app.core.jobs import purge
from app.core.jobs.models import JobRun
from app.core.jobs.outbox import enqueue
from app.core.jobs.runner import run_due
from app.core.jobs.work import Work
from app.core.mail import Mail
from app.core.mail.smtp import SMTPMailer
from app.core.security import access
from app.core.settings import Settings
from app.core.tenancy import within
from app.features.audit.models import AuditEvent
from app.features.tenants import invitations, members, repository
from app.features.tenants.authentication import Member
from app.features.tenants.failures import TenantNotFound
from app.features.tenants.jobs import purge_tenant, purge_tenants
from app.features.tenants.models import Invitation, Membership, Tenant, TenantRole
from app.features.tenants.permissions import granted_by
from app.features.tenants.schemas import NewInvitation
from app.features.tenants.settings import TenantSettings
from app.features.users.cli import create_user
from conftest import PASSWORD, Account, SignIn, client_of, make_account
from tests.inline import configured, database_of, in_service, serving
from tests.meanwhile import meanwhile
from tests.postbox import Postbox, subject_of, text_of
from tests.trail import Trail

URL = "/api/v1/tenants"
PLATFORM = "/api/v1/platform/tenants"
JOBS = {job.name: job for job in (purge_tenants, purge_tenant)}


async def new_tenant(account: Account, name: str = "Acme") -> str:
    """Create a tenant; return its URL."""
    answer = await account.client.post(URL, json={"name": name})
    assert answer.status_code == 201, answer.text
    assert answer.json()["role"] == "owner"
    return answer.headers["Location"]


def token_in(mail: Mail) -> str:
    """The token in the link of a mail."""
    found = re.search(r"#token=([\w-]+)", mail.text)
    assert found
    return found[1]


async def join(owner: Account, newcomer: Account, url: str, sent: list[Mail], role: str) -> None:
    """Invite a user, who accepts."""
    new = {"email": newcomer.email, "role": role}
    assert (await owner.client.post(f"{url}/invitations", json=new)).status_code == 201
    token = token_in(sent[-1])
    accepted = await newcomer.client.post("/api/v1/invitations/accept", json={"token": token})
    assert accepted.status_code == 200, accepted.text
    assert accepted.json()["role"] == role


async def roles_in(account: Account, url: str) -> dict[str, str]:
    """The roles of members."""
    members = (await account.client.get(f"{url}/members")).json()["items"]
    return {member["email"].split("@")[0]: member["role"] for member in members}


@pytest.fixture
async def ada(sign_in: SignIn) -> Account:
    return await sign_in("ada@example.com", "member")


@pytest.fixture
async def bob(sign_in: SignIn) -> Account:
    return await sign_in("bob@example.com", "member")


@pytest.fixture
async def eve(sign_in: SignIn) -> Account:
    return await sign_in("eve@example.com", "member")


async def test_an_account_created_on_the_command_line_has_a_tenant_of_its_own(
    committed_client: AsyncClient, settings: Settings
) -> None:
    email = "grace@example.com"
    await in_service(
        settings, lambda service: create_user(service, email, PASSWORD, "", ["member"])
    )

    form = {"username": email, "password": PASSWORD}
    tokens = (await committed_client.post("/api/v1/auth/login", data=form)).json()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    tenants = (await committed_client.get(URL, headers=headers)).json()["items"]
    assert [(each["role"], each["tenant"]["name"]) for each in tenants] == [("owner", "Personal")]


async def test_whoever_registers_has_a_tenant_of_their_own(
    client: AsyncClient, sent: list[Mail]
) -> None:
    new = {"email": "new@example.com", "password": PASSWORD, "full_name": "Grace"}
    await client.post("/api/v1/auth/register", json=new)
    wanted = {"token": token_in(sent[-1]), "password": PASSWORD}
    await client.post("/api/v1/auth/verify-email", json=wanted)
    form = {"username": "new@example.com", "password": PASSWORD}
    tokens = (await client.post("/api/v1/auth/login", data=form)).json()
    client.headers["Authorization"] = f"Bearer {tokens['access_token']}"

    mine = (await client.get(URL)).json()["items"]
    assert [(each["role"], each["tenant"]["name"]) for each in mine] == [("owner", "Personal")]
    own = f"{URL}/{mine[0]['tenant']['id']}"
    assert (await client.delete(own)).json()["type"] == "urn:problem-type:personal-tenant"
    assert (await client.post(f"{own}/leave")).json()["type"] == "urn:problem-type:last-owner"


async def test_a_tenant_is_made_renamed_and_listed(ada: Account, bob: Account) -> None:
    url = await new_tenant(ada)
    renamed = await ada.client.patch(url, json={"name": "Acme Ltd"})

    assert renamed.status_code == 200
    assert (await ada.client.get(url)).json() == renamed.json()
    names = [each["tenant"]["name"] for each in (await ada.client.get(URL)).json()["items"]]
    assert "Acme Ltd" in names
    assert "Acme" not in (await bob.client.get(URL)).text


async def test_for_others_a_tenant_does_not_exist(ada: Account, bob: Account) -> None:
    url = await new_tenant(ada)
    answers = [
        await bob.client.get(url),
        await bob.client.get(f"{URL}/{uuid4()}"),
        await bob.client.get(f"{url}/members"),
        await bob.client.patch(url, json={"name": "x"}),
        await bob.client.delete(url),
        await bob.client.post(f"{url}/restore"),
        await bob.client.post(f"{url}/leave"),
        await bob.client.get(f"{url}/audit-events"),
        await bob.client.get("/api/v1/users/me", headers={"X-Tenant-ID": url.split("/")[-1]}),
    ]

    first = answers[0].json() | {"instance": "", "correlation_id": ""}
    for answer in answers:
        assert answer.status_code == 404
        assert answer.json() | {"instance": "", "correlation_id": ""} == first


async def test_header_and_path_may_not_contradict(ada: Account) -> None:
    one, other = await new_tenant(ada), await new_tenant(ada, "Other")
    header = {"X-Tenant-ID": one.split("/")[-1]}

    assert (await ada.client.get(one, headers=header)).status_code == 200
    assert (await ada.client.get(other, headers=header)).status_code == 422
    assert (await ada.client.get(one, headers={"X-Tenant-ID": "x"})).status_code == 422
    assert (await ada.client.get(f"{URL}/not-an-id/members")).status_code == 404


async def test_who_is_invited_and_reads_the_mail_becomes_a_member(
    ada: Account, bob: Account, sent: list[Mail]
) -> None:
    url = await new_tenant(ada)
    await join(ada, bob, url, sent, "member")

    assert sent[-1].to == bob.email
    assert await roles_in(bob, url) == {"ada": "owner", "bob": "member"}
    assert (await bob.client.patch(url, json={"name": "x"})).status_code == 403
    assert (await bob.client.get(f"{url}/invitations")).status_code == 403
    again = await bob.client.post("/api/v1/invitations/accept", json={"token": token_in(sent[-1])})
    assert again.status_code == 422
    second = await ada.client.post(f"{url}/invitations", json={"email": bob.email})
    assert second.json()["type"] == "urn:problem-type:already-member"


async def test_an_invitation_is_for_one_address_and_once(
    ada: Account, bob: Account, eve: Account, sent: list[Mail]
) -> None:
    url = await new_tenant(ada)
    invite = f"{url}/invitations"
    first = (await ada.client.post(invite, json={"email": bob.email})).json()
    old = token_in(sent[-1])
    await ada.client.post(invite, json={"email": bob.email})
    new = token_in(sent[-1])

    async def accept(account: Account, token: str) -> int:
        answer = await account.client.post("/api/v1/invitations/accept", json={"token": token})
        return answer.status_code

    assert await accept(bob, old) == 422
    assert await accept(eve, new) == 422
    assert new not in (await ada.client.get(invite)).text
    assert first["id"] not in (await ada.client.get(invite)).text
    current = (await ada.client.get(invite)).json()["items"][0]["id"]
    assert (await ada.client.delete(f"{invite}/{current}")).status_code == 204
    assert (await ada.client.delete(f"{invite}/{current}")).status_code == 404
    assert await accept(bob, new) == 422


@pytest.mark.parametrize(
    "name",
    [
        "https://evil.example/x",
        "Your prize: evil.com",
        "evil.com/login",
        "www.evil.com",
        "EVIL\uff0eCOM",
        "evil\u200d.\u2060com",
        "пример.рф",
        "例え。テスト",
        "support@evil.com",
        "Call +1 (800) 555-01 99",
        "x\u2028y",
        "x\x85y",
        "x\u202ey",
    ],
)
async def test_a_tenant_is_named_like_no_link_as_strangers_get_its_name_by_mail(
    ada: Account, name: str
) -> None:
    url = await new_tenant(ada)

    assert (await ada.client.post(URL, json={"name": name})).status_code == 422
    assert (await ada.client.patch(url, json={"name": name})).status_code == 422


@pytest.mark.parametrize(
    "name",
    ["Acme, Inc.", "A.B.C. Ltd", "St. Mary's", "24/7 Support", "1. FC Köln 1948", "ශ්‍රී 👩‍👩‍👧"],
)
async def test_an_invitation_names_its_tenant_in_the_body_and_not_in_the_subject(
    ada: Account, sent: list[Mail], name: str
) -> None:
    url = await new_tenant(ada, name)
    new = {"email": "stranger@example.com"}
    assert (await ada.client.post(f"{url}/invitations", json=new)).status_code == 201

    assert sent[-1].subject == "You have been invited"
    assert f"join {name}." in sent[-1].text


OLD_NAMES = ["x\u2028y", "x\x85y", "x\r\nBcc: y", "http://evil.com", "\u202ex", "0800 555 0199"]


async def test_a_name_from_before_these_rules_is_not_told_to_strangers(
    app: FastAPI, committed_db: Database, engine: AsyncEngine, settings: Settings
) -> None:
    """Invitations are still delivered, by a real server."""
    postbox = Postbox()
    with postbox.serving() as smtp_url:
        through = settings.model_copy(update={"mailer": SMTPMailer, "smtp_url": smtp_url})
        database = database_of(engine, through)
        async with client_of(app, database, through) as client:
            ada = await make_account(database, client, "ada@example.com", "member")
            url = await new_tenant(ada)
            for number, name in enumerate(OLD_NAMES):
                async with unit_of_work(database) as session:
                    old = update(Tenant).where(Tenant.id == UUID(url.split("/")[-1]))
                    await session.execute(old.values(name=name))
                new = {"email": f"{number}@example.com"}
                assert (await client.post(f"{url}/invitations", json=new)).status_code == 201

    assert [mail["To"] for mail in postbox.mails] == [f"{n}@example.com" for n in range(6)]
    for mail, name in zip(postbox.mails, OLD_NAMES, strict=True):
        assert subject_of(mail) == "You have been invited"
        body = text_of(mail)
        assert "You have been invited to join a team." in body
        assert name not in body


async def test_an_invitation_expires(
    ada: Account, bob: Account, sent: list[Mail], database: Database
) -> None:
    url = await new_tenant(ada)
    await ada.client.post(f"{url}/invitations", json={"email": bob.email})
    async with unit_of_work(database) as session:
        await session.execute(update(Invitation).values(expires_at=utc_now() - timedelta(1)))

    answer = await bob.client.post("/api/v1/invitations/accept", json={"token": token_in(sent[-1])})
    assert answer.status_code == 422


async def test_so_many_may_be_invited(
    ada: Account, monkeypatch: pytest.MonkeyPatch, sent: list[Mail]
) -> None:
    monkeypatch.setattr(configured(TenantSettings), "invitations", 2)
    monkeypatch.setattr(configured(TenantSettings), "per_user", 2)
    url = await new_tenant(ada)
    answers = [
        await ada.client.post(f"{url}/invitations", json={"email": f"{n}@example.com"})
        for n in range(3)
    ]

    assert [answer.status_code for answer in answers] == [201, 201, 409]
    assert (await ada.client.post(URL, json={"name": "more"})).status_code == 409
    assert len(sent) == 2


async def test_only_owners_touch_owners(
    ada: Account, bob: Account, eve: Account, sent: list[Mail]
) -> None:
    url = await new_tenant(ada)
    await join(ada, bob, url, sent, "admin")
    await join(bob, eve, url, sent, "member")

    async def make(account: Account, whom: Account, role: str) -> int:
        path = f"{url}/members/{whom.id}/role"
        return (await account.client.put(path, json={"role": role})).status_code

    assert await make(bob, bob, "owner") == 403
    assert await make(bob, ada, "member") == 403
    assert await make(eve, eve, "admin") == 403
    assert (await bob.client.delete(f"{url}/members/{ada.id}")).status_code == 403
    assert (await bob.client.delete(url)).status_code == 403
    assert (
        await bob.client.post(f"{url}/transfer", json={"user_id": str(bob.id)})
    ).status_code == 403
    new = {"email": "x@example.com", "role": "owner"}
    assert (await ada.client.post(f"{url}/invitations", json=new)).status_code == 422
    assert await make(bob, eve, "admin") == 204
    assert await make(ada, bob, "owner") == 204
    assert await roles_in(eve, url) == {"ada": "owner", "bob": "owner", "eve": "admin"}


async def test_who_leaves_or_is_removed_is_out_at_once(
    ada: Account, bob: Account, eve: Account, sent: list[Mail]
) -> None:
    url = await new_tenant(ada)
    await join(ada, bob, url, sent, "member")
    await join(ada, eve, url, sent, "member")

    assert (await bob.client.post(f"{url}/leave")).status_code == 204
    assert (await ada.client.delete(f"{url}/members/{eve.id}")).status_code == 204
    assert (await bob.client.get(url)).status_code == 404
    assert (await eve.client.get(url)).status_code == 404
    assert (await ada.client.delete(f"{url}/members/{eve.id}")).status_code == 404
    last = await ada.client.post(f"{url}/leave")
    assert last.json()["type"] == "urn:problem-type:last-owner"


async def test_who_was_removed_meanwhile_does_nothing_more(
    ada: Account, bob: Account, sent: list[Mail], database: Database, settings: Settings
) -> None:
    """Their request was authenticated a moment before."""
    url = await new_tenant(ada)
    await join(ada, bob, url, sent, "admin")
    tenant_id = UUID(url.split("/")[-1])
    let_in = Member(
        user_id=bob.id,
        permissions=frozenset(),
        tenant_id=tenant_id,
        role="admin",
        granted=granted_by(serving(database).features),
    )
    await ada.client.delete(f"{url}/members/{bob.id}")
    sent.clear()

    new = NewInvitation(email=bob.email, role=TenantRole.ADMIN)
    with within(tenant_id):
        with pytest.raises(TenantNotFound):
            async with unit_of_work(database) as session:
                await invitations.add(session, settings, let_in, new)
        with pytest.raises(TenantNotFound):
            async with unit_of_work(database) as session:
                await members.change_role(session, let_in, ada.id, TenantRole.MEMBER)
    assert sent == []


async def test_who_runs_the_service_is_no_owner_of_the_tenants_that_they_work_for(
    ada: Account, admin: Account, sent: list[Mail]
) -> None:
    url = await new_tenant(ada)
    await join(ada, admin, url, sent, "member")

    for answer in (
        await admin.client.put(f"{url}/members/{admin.id}/role", json={"role": "owner"}),
        await admin.client.delete(f"{url}/members/{ada.id}"),
        await admin.client.patch(url, json={"name": "x"}),
        await admin.client.delete(url),
    ):
        assert answer.status_code == 403


async def test_a_tenant_is_handed_over(ada: Account, bob: Account, sent: list[Mail]) -> None:
    url = await new_tenant(ada)
    await join(ada, bob, url, sent, "member")
    path = f"{url}/transfer"

    assert (await ada.client.post(path, json={"user_id": str(uuid4())})).status_code == 404
    assert (await ada.client.post(path, json={"user_id": str(bob.id)})).status_code == 204
    assert await roles_in(bob, url) == {"ada": "admin", "bob": "owner"}
    assert (await ada.client.delete(url)).status_code == 403


@pytest.fixture
async def committed_people(
    app: FastAPI, committed_db: Database, settings: Settings
) -> AsyncGenerator[tuple[Account, Account, Account]]:
    """Ada, Bob and an administrator of the service, whose requests really commit."""
    async with AsyncExitStack() as stack:
        made: list[Account] = []
        for name, role in (("ada", "member"), ("bob", "member"), ("admin", "admin")):
            client = client_of(app, committed_db, settings)
            await stack.enter_async_context(client)
            made.append(await make_account(committed_db, client, f"{name}@example.com", role))
        yield made[0], made[1], made[2]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/members/[bob]/role", {"role": "admin"}),
        ("DELETE", "/members/[bob]", None),
        ("POST", "/transfer", {"user_id": "[bob]"}),
    ],
    ids=str,
)
async def test_a_member_whose_account_is_deleted_meanwhile_is_not_found(
    committed_people: tuple[Account, Account, Account],
    monkeypatch: pytest.MonkeyPatch,
    sent: list[Mail],
    method: str,
    path: str,
    body: dict[str, str] | None,
) -> None:
    ada, bob, admin = committed_people
    url = await new_tenant(ada)
    await join(ada, bob, url, sent, "member")
    account = f"/api/v1/users/{bob.id}"
    begun = meanwhile(monkeypatch, members, "get", lambda: admin.client.delete(account))

    wanted = {name: value.replace("[bob]", str(bob.id)) for name, value in (body or {}).items()}
    path = path.replace("[bob]", str(bob.id))
    answer = await ada.client.request(method, url + path, json=wanted or None)

    deleted = (await begun[0]).status_code
    assert (answer.status_code, deleted) in {(404, 204), (204, 204), (204, 409)}


@pytest.mark.parametrize("place", ["count_owned", "email_of", "has_member"])
async def test_an_account_that_is_deleted_meanwhile_owns_joins_and_invites_nothing(
    committed_people: tuple[Account, Account, Account],
    monkeypatch: pytest.MonkeyPatch,
    sent: list[Mail],
    place: str,
) -> None:
    ada, bob, admin = committed_people
    url = await new_tenant(ada)
    await ada.client.post(f"{url}/invitations", json={"email": bob.email})
    who = bob if place == "email_of" else ada
    asked, wanted = {
        "count_owned": (URL, {"name": "Acme"}),
        "email_of": ("/api/v1/invitations/accept", {"token": token_in(sent[-1])}),
        "has_member": (f"{url}/invitations", {"email": "eve@example.com"}),
    }[place]
    account = f"/api/v1/users/{who.id}"
    begun = meanwhile(monkeypatch, repository, place, lambda: admin.client.delete(account))

    answer = await who.client.post(asked, json=wanted)

    assert (await begun[0]).status_code == 204
    assert answer.status_code in {200, 201, 404}


async def test_an_account_that_is_deleted_before_it_is_locked_owns_nothing(
    committed_people: tuple[Account, Account, Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, _, admin = committed_people
    account = f"/api/v1/users/{ada.id}"
    begun = meanwhile(monkeypatch, access, "authenticate", lambda: admin.client.delete(account))

    answer = await ada.client.post(URL, json={"name": "Acme"})

    deleted = (await begun[0]).status_code
    assert (answer.status_code, deleted) in {(404, 204), (201, 204)}


async def test_a_tenant_that_is_purged_meanwhile_is_not_renamed(
    committed_people: tuple[Account, Account, Account],
    committed_db: Database,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ada, _, _ = committed_people
    url = await new_tenant(ada)
    monkeypatch.setattr(configured(TenantSettings), "grace_days", 0)

    async def delete_and_purge() -> Response:
        deleted = await ada.client.delete(url)
        async with unit_of_work(committed_db) as session:
            await enqueue(session, purge_tenants)
        await run_due(serving(committed_db, settings=settings, jobs=JOBS))
        return deleted

    begun = meanwhile(monkeypatch, access, "authenticate", delete_and_purge)

    answer = await ada.client.patch(url, json={"name": "Acme Ltd"})

    deleted = (await begun[0]).status_code
    assert (answer.status_code, deleted) in {(404, 204), (200, 204)}
    assert (await ada.client.get(url)).status_code == 404


async def test_of_all_owners_who_leave_at_once_one_stays(
    app: FastAPI, committed_db: Database, settings: Settings
) -> None:
    people: list[Account] = []
    async with AsyncExitStack() as stack:
        for name in ("ada", "bob", "eve"):
            client = client_of(app, committed_db, settings)
            await stack.enter_async_context(client)
            email = f"{name}@example.com"
            people.append(await make_account(committed_db, client, email, "member"))
        url = await new_tenant(people[0])
        async with unit_of_work(committed_db) as session:
            for other in people[1:]:
                tenant_id = UUID(url.split("/")[-1])
                session.add(Membership(tenant_id=tenant_id, user_id=other.id, role="owner"))

        answers = await asyncio.gather(*(one.client.post(f"{url}/leave") for one in people))

    assert Counter(answer.status_code for answer in answers) == {204: 2, 409: 1}


async def test_an_invitation_that_is_revoked_and_accepted_at_once_is_one_or_the_other(
    app: FastAPI, committed_db: Database, settings: Settings, sent: list[Mail]
) -> None:
    async with AsyncExitStack() as stack:
        people: list[Account] = []
        for name in ("ada", "bob"):
            client = client_of(app, committed_db, settings)
            await stack.enter_async_context(client)
            people.append(await make_account(committed_db, client, f"{name}@x.example", "member"))
        ada, bob = people
        for _ in range(5):
            url = await new_tenant(ada)
            new = {"email": bob.email}
            made = (await ada.client.post(f"{url}/invitations", json=new)).json()["id"]
            wanted = {"token": token_in(sent[-1])}
            revoked, accepted = await asyncio.gather(
                ada.client.delete(f"{url}/invitations/{made}"),
                bob.client.post("/api/v1/invitations/accept", json=wanted),
            )
            both = (revoked.status_code, accepted.status_code)
            assert both in {(204, 422), (404, 200)}
            assert len(await roles_in(ada, url)) == 1 + (accepted.status_code == 200)


async def test_an_account_can_go_while_its_tenants_are_deleted_or_suspended(
    ada: Account, bob: Account, admin: Account, sent: list[Mail]
) -> None:
    deleted, suspended = await new_tenant(ada), await new_tenant(ada)
    for url in (deleted, suspended):
        await join(ada, bob, url, sent, "member")
    await ada.client.delete(deleted)
    await admin.client.post(f"{PLATFORM}/{suspended.split('/')[-1]}/suspend")

    assert (await ada.client.delete("/api/v1/users/me")).status_code == 204


async def test_a_deleted_tenant_is_out_of_reach_and_can_be_restored(
    ada: Account, bob: Account, sent: list[Mail]
) -> None:
    url = await new_tenant(ada)
    await join(ada, bob, url, sent, "admin")

    assert (await ada.client.delete(url)).status_code == 204
    assert (await ada.client.get(url)).status_code == 404
    assert (await bob.client.get(f"{url}/members")).status_code == 404
    assert (await bob.client.post(f"{url}/restore")).status_code == 403
    assert (await ada.client.post(f"{url}/restore")).json()["deleted_at"] is None
    assert (await ada.client.post(f"{url}/restore")).status_code == 404
    assert (await bob.client.get(url)).status_code == 200


async def test_the_people_who_run_the_service_suspend_without_looking_in(
    ada: Account, admin: Account
) -> None:
    url = await new_tenant(ada)
    tenant_id = url.split("/")[-1]
    registered = f"{PLATFORM}/{tenant_id}"

    assert (await ada.client.get(f"{PLATFORM}")).status_code == 403
    assert (await ada.client.post(f"{registered}/suspend")).status_code == 403
    assert tenant_id in (await admin.client.get(f"{PLATFORM}")).text
    assert (await admin.client.get(url)).status_code == 404
    for _ in range(2):
        assert (await admin.client.post(f"{registered}/suspend")).json()["suspended_at"]
    refused = await ada.client.get(url)
    assert (refused.status_code, refused.json()["type"]) == (
        403,
        "urn:problem-type:tenant-suspended",
    )
    assert (await admin.client.post(f"{registered}/resume")).json()["suspended_at"] is None
    assert (await ada.client.get(url)).status_code == 200
    assert (await admin.client.post(f"{PLATFORM}/{uuid4()}/suspend")).status_code == 404


async def test_what_happens_is_on_record_for_those_who_answer_for_it(
    ada: Account, bob: Account, sent: list[Mail]
) -> None:
    url = await new_tenant(ada)
    await join(ada, bob, url, sent, "member")
    events = (await ada.client.get(f"{url}/audit-events")).json()["items"]

    assert [event["action"] for event in events] == [
        "tenant.member_joined",
        "tenant.invited",
        "tenant.created",
    ]
    assert {event["tenant_id"] for event in events} == {url.split("/")[-1]}
    assert not {"address", "session_id"} & events[0].keys()
    assert (await bob.client.get(f"{url}/audit-events")).status_code == 403


async def test_each_change_of_a_tenant_is_on_record(
    ada: Account, bob: Account, admin: Account, database: Database, sent: list[Mail]
) -> None:
    trail = Trail(database, "tenant")
    await trail.new()
    url = await new_tenant(ada)
    assert await trail.new() == ["tenant.created"]
    await ada.client.patch(url, json={"name": "Acme Ltd"})
    assert await trail.new() == ["tenant.renamed"]

    new = {"email": "eve@example.com", "role": "member"}
    invited = (await ada.client.post(f"{url}/invitations", json=new)).json()
    assert await trail.new() == ["tenant.invited"]
    await ada.client.delete(f"{url}/invitations/{invited['id']}")
    assert await trail.new() == ["tenant.invitation_revoked"]
    await join(ada, bob, url, sent, "member")
    assert await trail.new() == ["tenant.invited", "tenant.member_joined"]
    await ada.client.put(f"{url}/members/{bob.id}/role", json={"role": "admin"})
    assert await trail.new() == ["tenant.role_changed"]
    await bob.client.post(f"{url}/leave")
    assert await trail.new() == ["tenant.member_left"]

    registered = f"{PLATFORM}/{url.split('/')[-1]}"
    await admin.client.post(f"{registered}/suspend")
    assert await trail.new() == ["tenant.suspended"]
    await admin.client.post(f"{registered}/resume")
    assert await trail.new() == ["tenant.resumed"]
    await ada.client.delete(url)
    assert await trail.new() == ["tenant.deleted"]
    await ada.client.post(f"{url}/restore")
    assert await trail.new() == ["tenant.restored"]
    await ada.client.delete("/api/v1/users/me")
    assert await trail.new() == ["tenant.deleted"] * 2, "this one, and her personal one"


async def test_a_cursor_is_good_for_one_tenant(ada: Account) -> None:
    one, other = await new_tenant(ada), await new_tenant(ada)
    for url in (one, other):
        for name in ("a", "b", "c"):
            await ada.client.patch(url, json={"name": name})
    page = (await ada.client.get(f"{one}/audit-events", params={"limit": 1})).json()
    query: dict[str, str | int] = {"limit": 1, "cursor": page["next_cursor"]}

    assert (await ada.client.get(f"{one}/audit-events", params=query)).status_code == 200
    assert (await ada.client.get(f"{other}/audit-events", params=query)).status_code == 422


async def test_an_owner_who_goes_leaves_no_tenant_without_one(
    ada: Account, bob: Account, sent: list[Mail], database: Database
) -> None:
    shared, alone = await new_tenant(ada), await new_tenant(ada, "alone")
    await join(ada, bob, shared, sent, "member")

    refused = await ada.client.delete("/api/v1/users/me")
    assert refused.json()["type"] == "urn:problem-type:last-owner"
    await ada.client.post(f"{shared}/transfer", json={"user_id": str(bob.id)})
    assert (await ada.client.delete("/api/v1/users/me")).status_code == 204
    assert await roles_in(bob, shared) == {"bob": "owner"}
    async with reading(database) as session:
        deleted = await session.scalars(select(Tenant.name).where(Tenant.deleted_at.is_not(None)))
        assert set(deleted) == {"alone", "ada@example.com's"}
    assert alone


async def test_after_the_days_of_grace_nothing_is_left_but_the_record(
    ada: Account, bob: Account, sent: list[Mail], database: Database, settings: Settings
) -> None:
    gone, kept = await new_tenant(ada), await new_tenant(ada, "kept")
    for url in (gone, kept):
        await ada.client.post(f"{url}/invitations", json={"email": bob.email})
        await ada.client.delete(url)
    async with unit_of_work(database) as session:
        long_ago = utc_now() - timedelta(days=31)
        chosen = update(Tenant).where(Tenant.name == "Acme")
        await session.execute(chosen.values(deleted_at=long_ago))
        await enqueue(session, purge_tenants)
    await run_due(serving(database, settings=settings, jobs=JOBS))

    async with reading(database) as session:
        gone_id, kept_id = UUID(gone.split("/")[-1]), UUID(kept.split("/")[-1])
        for column in (Tenant.id, Membership.tenant_id, Invitation.tenant_id):
            found = set(await session.scalars(select(column)))
            assert gone_id not in found
            assert kept_id in found
        left = select(JobRun.name).where(JobRun.tenant_id == gone_id)
        assert (await session.scalars(left)).all() == ["tenants.purge_one"]
        purged = select(AuditEvent.tenant_id).where(AuditEvent.action == "tenant.purged")
        assert (await session.scalars(purged)).all() == [gone_id]


async def deleted_ago(database: Database, days: float) -> None:
    """Backdate the deletion of the tenant Acme by this many days."""
    async with unit_of_work(database) as session:
        chosen = update(Tenant).where(Tenant.name == "Acme")
        await session.execute(chosen.values(deleted_at=utc_now() - timedelta(days=days)))


async def test_a_tenant_is_restored_within_its_days_of_grace_and_not_after(
    ada: Account, database: Database
) -> None:
    url = await new_tenant(ada)
    await ada.client.delete(url)
    await deleted_ago(database, 29.9)
    assert (await ada.client.post(f"{url}/restore")).status_code == 200

    await ada.client.delete(url)
    await deleted_ago(database, 30)
    assert (await ada.client.post(f"{url}/restore")).status_code == 404


async def test_a_tenant_that_is_half_purged_is_not_restored(
    ada: Account, database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even on a machine with another clock or grace period than where the purge started."""
    url = await new_tenant(ada)
    await ada.client.delete(url)
    await deleted_ago(database, 31)
    monkeypatch.setattr(purge, "BATCH", 1)
    with within(UUID(url.split("/")[-1])):
        async with unit_of_work(database) as session:
            await enqueue(session, purge_tenants)
        async with unit_of_work(database) as session:
            await purge_tenant.function(Work(session, serving(database), 1, uuid4()))
    async with reading(database) as session:
        assert await session.scalar(select(Tenant.id).where(Tenant.name == "Acme"))

    monkeypatch.setattr(configured(TenantSettings), "grace_days", 60)
    assert (await ada.client.post(f"{url}/restore")).status_code == 404


async def test_a_tenant_that_was_restored_is_not_purged(
    ada: Account, database: Database, settings: Settings
) -> None:
    url = await new_tenant(ada)
    await ada.client.delete(url)
    assert (await ada.client.post(f"{url}/restore")).status_code == 200
    with within(UUID(url.split("/")[-1])):
        async with unit_of_work(database) as session:
            await enqueue(session, purge_tenant)
    await run_due(serving(database, settings=settings, jobs=JOBS))

    assert (await ada.client.get(url)).status_code == 200
