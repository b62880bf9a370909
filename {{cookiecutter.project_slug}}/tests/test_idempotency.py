"""A request with an idempotency key is executed once, and answered the same however often it is repeated."""

import asyncio
from asyncio import gather
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from httpx2 import AsyncClient, Response
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import session as sessions
from app.core.db.base import utc_now
from app.core.db.errors import DatabaseUnavailable
from app.core.db.session import Database, SessionDep, get_session, reading, unit_of_work
from app.core.errors import Conflict
from app.core.jobs.work import Work
from app.core.routing import SERVICE, router as new_router
from app.core.security.access import Can, calls, signed_in
from app.core.security.principal import Principal
from app.core.settings import Settings
from app.features.idempotency import deps, idempotent, service
from app.features.idempotency.jobs import purge_keys
from app.features.idempotency.models import IdempotencyKey
from app.features.users import roles
from app.features.users.models import Role
from app.features.users.permissions import RolePermission
from app.features.users.schemas import NewRole
from app.main import create_app
from conftest import Account, SignIn, client_of
from tests.inline import serving

URL = "/api/v1/roles"
KEY = "Idempotency-Key"


async def create(client: AsyncClient, key: str, name: str = "clerk", **more: object) -> Response:
    """Create a role."""
    new: dict[str, object] = {"name": name, "permissions": [], **more}
    return await client.post(URL, json=new, headers={KEY: key})


def told(answer: Response) -> tuple[int, Any, str | None]:
    """What a client learns."""
    return answer.status_code, answer.json(), answer.headers.get("Location")


def kind(answer: Response) -> tuple[int, str]:
    """The status and the type of a problem, without the common prefix."""
    return answer.status_code, answer.json()["type"].removeprefix("urn:problem-type:")


async def stored(database: Database) -> int:
    """How many requests are remembered."""
    async with reading(database) as session:
        return await session.scalar(select(func.count()).select_from(IdempotencyKey)) or 0


async def test_a_repeated_request_is_answered_as_the_first_one(admin: Account) -> None:
    first = await create(admin.client, "a-key")
    second = await create(admin.client, "a-key")

    assert first.status_code == 201
    assert told(first) == told(second)
    assert first.headers[KEY] == second.headers[KEY] == "a-key"
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.headers["X-Correlation-ID"] != first.headers["X-Correlation-ID"]
    assert second.headers["X-Content-Type-Options"] == "nosniff"


async def test_without_a_key_each_request_is_executed(admin: Account, database: Database) -> None:
    new: dict[str, object] = {"name": "clerk", "permissions": []}
    answers = [await admin.client.post(URL, json=new) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 409]
    assert KEY not in answers[0].headers
    assert await stored(database) == 0


async def test_a_key_belongs_to_one_request(admin: Account) -> None:
    await create(admin.client, "a-key")

    other = await create(admin.client, "a-key", name="cook")

    assert kind(other) == (422, "idempotency-key-reused")
    assert "Idempotent-Replayed" not in other.headers


@pytest.mark.parametrize(
    ("one", "same"),
    [("a-key", '"a-key"'), ('"a\\"b"', '"a\\"b"'), ("k" * 255, f'"{"k" * 255}"')],
)
async def test_a_key_is_the_same_in_quotes(admin: Account, one: str, same: str) -> None:
    first, second = await create(admin.client, one), await create(admin.client, same)

    assert told(first) == told(second)
    assert second.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(
    "key", ["", " ", "k" * 256, "two words", '"open', '"a"b"', "k\u00e9y", '""']
)
async def test_what_is_no_key_is_refused(admin: Account, database: Database, key: str) -> None:
    answer = await admin.client.post(
        URL,
        json={"name": "clerk", "permissions": []},
        headers={KEY.encode(): key.encode("latin-1")},
    )

    assert kind(answer) == (400, "invalid-key")
    assert await stored(database) == 0


async def test_another_caller_has_other_keys(admin: Account, sign_in: SignIn) -> None:
    other = await sign_in("other@example.com", "admin")
    await create(admin.client, "a-key")

    answer = await create(other.client, "a-key", name="cook")

    assert answer.status_code == 201
    assert answer.json()["name"] == "cook"


async def test_who_may_not_call_learns_nothing_of_a_key(
    admin: Account, member: Account, client: AsyncClient, database: Database
) -> None:
    await create(admin.client, "a-key")
    remembered = await stored(database)

    assert (await create(member.client, "a-key")).status_code == 403
    assert (await create(client, "a-key")).status_code == 401
    assert await stored(database) == remembered


async def test_a_failure_is_repeated_too(admin: Account) -> None:
    new: dict[str, object] = {"name": "clerk", "permissions": []}
    await admin.client.post(URL, json=new)
    refused = await create(admin.client, "a-key")
    (role,) = [
        each for each in (await admin.client.get(URL)).json()["items"] if each["name"] == "clerk"
    ]
    await admin.client.delete(f"{URL}/{role['id']}")

    again = await create(admin.client, "a-key")

    assert kind(refused) == (409, "role-name-taken")
    assert told(again) == told(refused)
    assert again.headers["Content-Type"] == "application/problem+json"
    assert (await create(admin.client, "b-key")).status_code == 201


async def test_a_request_that_was_not_executed_may_be_corrected(
    admin: Account, database: Database
) -> None:
    invalid = await create(admin.client, "a-key", name="")
    unreadable = await admin.client.post(
        URL, content="{", headers={KEY: "a-key", "Content-Type": "application/json"}
    )

    assert kind(invalid) == kind(unreadable) == (422, "validation-error")
    assert await stored(database) == 0
    assert (await create(admin.client, "a-key")).status_code == 201


async def test_a_bug_is_repeated_and_leaves_nothing(
    admin: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = roles.create

    async def fail(*arguments: Any) -> Role:  # noqa: ANN401
        await created(*arguments)
        raise ZeroDivisionError

    monkeypatch.setattr(roles, "create", fail)
    first = await create(admin.client, "a-key")
    monkeypatch.undo()
    again = await create(admin.client, "a-key")

    assert first.status_code == 500
    assert told(again) == told(first)
    names = [each["name"] for each in (await admin.client.get(URL)).json()["items"]]
    assert "clerk" not in names


async def test_what_may_succeed_later_is_executed_again(
    admin: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose(*_: Any) -> Role:  # noqa: ANN401
        raise service.LostRace

    monkeypatch.setattr(roles, "create", lose)
    lost = await create(admin.client, "a-key")
    monkeypatch.undo()

    assert kind(lost) == (409, "lost-race")
    assert (await create(admin.client, "a-key")).status_code == 201


async def expire(database: Database) -> None:
    """End the lease of every claim."""
    async with unit_of_work(database) as session:
        statement = update(IdempotencyKey).values(leased_until=utc_now() - timedelta(seconds=1))
        await session.execute(statement, execution_options={"synchronize_session": False})


async def test_of_a_hundred_at_once_one_is_executed(
    committed_admin: Account, committed_db: Database
) -> None:
    client = committed_admin.client
    answers = await gather(*(create(client, "a-key") for _ in range(100)))
    later = await create(client, "a-key")

    assert later.status_code == 201
    found = Counter(answer.status_code for answer in answers)
    assert found.keys() <= {201, 409}
    assert found[201] >= 1
    for answer in answers:
        if answer.status_code == 201:
            assert answer.json() == later.json()
        else:
            assert kind(answer) == (409, "request-in-progress")
            assert answer.headers["Retry-After"] == "1"
    assert (
        sum("Idempotent-Replayed" not in each.headers for each in answers if each.is_success) == 1
    )
    events = await client.get("/api/v1/audit-events", params={"action": "role.created"})
    assert len(events.json()["items"]) == 1
    assert await stored(committed_db) == 1


async def paused(
    client: AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: Callable[[], Any],
) -> Response:
    """The answer to a request, within whose execution something else is done."""
    created = roles.create

    async def pause(*arguments: Any) -> Role:  # noqa: ANN401
        monkeypatch.setattr(roles, "create", created)
        made = await created(*arguments)
        await meanwhile()
        return made

    monkeypatch.setattr(roles, "create", pause)
    return await create(client, "a-key")


@pytest.fixture
def one_writer(committed_db: Database) -> bool:
    """Whether the database has one writer at a time, so that nothing can be written meanwhile."""
    return committed_db.dialect.schemes[0] == "sqlite"


async def test_a_request_in_progress_is_not_executed_beside_it(
    committed_admin: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside: list[Response] = []

    async def repeat() -> None:
        beside.append(await create(committed_admin.client, "a-key"))

    answer = await paused(committed_admin.client, monkeypatch, repeat)

    assert answer.status_code == 201
    assert [kind(each) for each in beside] == [(409, "request-in-progress")]


async def test_who_has_lost_the_claim_commits_nothing(
    committed_admin: Account,
    committed_db: Database,
    monkeypatch: pytest.MonkeyPatch,
    one_writer: bool,
) -> None:
    if one_writer:
        pytest.skip("the second would wait for the first")

    async def take_over() -> None:
        await expire(committed_db)
        async with unit_of_work(committed_db) as session:
            other = update(IdempotencyKey).values(claim=uuid4())
            await session.execute(other, execution_options={"synchronize_session": False})

    slow = await paused(committed_admin.client, monkeypatch, take_over)

    assert kind(slow) == (409, "lost-race")
    names = [each["name"] for each in (await committed_admin.client.get(URL)).json()["items"]]
    assert "clerk" not in names


async def test_after_a_crash_the_request_is_executed_again_once_its_lease_is_over(
    admin: Account, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_: object) -> None:
        raise SystemExit

    async def stay(*_: object) -> None:
        """Leave the claim, as a process that is killed does."""

    monkeypatch.setattr(deps, "settle", crash)
    monkeypatch.setattr(service.Claim, "release", stay)
    with pytest.raises(SystemExit):
        await create(admin.client, "a-key")
    monkeypatch.undo()

    assert kind(await create(admin.client, "a-key")) == (409, "request-in-progress")
    await expire(database)
    assert (await create(admin.client, "a-key")).status_code == 201
    assert (await create(admin.client, "a-key")).headers["Idempotent-Replayed"] == "true"


async def test_a_cancelled_request_may_be_repeated_at_once(
    admin: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cancelled(*_: object) -> Role:
        raise asyncio.CancelledError

    monkeypatch.setattr(roles, "create", cancelled)
    with pytest.raises(asyncio.CancelledError):
        await create(admin.client, "a-key")
    monkeypatch.undo()

    assert (await create(admin.client, "a-key")).status_code == 201


async def test_responses_are_kept_encrypted_for_a_day(admin: Account, database: Database) -> None:
    await create(admin.client, "a-key", description="CONFIDENTIAL")
    await purge(database)
    async with unit_of_work(database) as session:
        row = (await session.scalars(select(IdempotencyKey))).one()
        assert "CONFIDENTIAL" not in str(row.answer)
        row.created_at = utc_now() - timedelta(hours=26)

    await purge(database)

    assert await stored(database) == 0


async def purge(database: Database) -> None:
    """Run the job."""
    async with unit_of_work(database) as session:
        await purge_keys.function(Work(session, serving(database), 1, uuid4()))


async def test_a_response_that_cannot_be_decrypted_is_refused(
    admin: Account, database: Database
) -> None:
    await create(admin.client, "a-key")
    async with unit_of_work(database) as session:
        row = (await session.scalars(select(IdempotencyKey))).one()
        row.answer = {"sealed": "gAAAA"}

    assert kind(await create(admin.client, "a-key")) == (409, "response-unreadable")


async def test_the_document_names_the_header_and_its_refusals(client: AsyncClient) -> None:
    document = (await client.get("/api/v1/openapi.json")).json()
    operation = document["paths"][URL]["post"]

    (header,) = [each for each in operation["parameters"] if each["name"] == KEY]
    assert header["in"] == "header"
    assert not header["required"]
    assert {"400", "409", "422"} <= operation["responses"].keys()
    assert "in progress" in operation["responses"]["409"]["description"]
    assert "in use" in operation["responses"]["409"]["description"]


async def test_what_is_no_http_request_is_executed_once_too(
    admin: Account, database: Database
) -> None:
    who = Principal(user_id=admin.id, permissions=frozenset())
    done: list[str] = []

    async def once(key: str, name: str, *, fail: bool = False) -> str:
        async def work(session: AsyncSession) -> str:
            done.append(name)
            if fail:
                raise Conflict("not now")
            return f"{name} {len(done)}"

        content = NewRole(name=name, permissions=[])
        request = service.KeyedRequest(database, who, "test", key, content)
        return await service.once(request, lambda: unit_of_work(database), work)

    with pytest.raises(Conflict):
        await once("a-key", "clerk", fail=True)
    assert [await once("a-key", "clerk") for _ in range(3)] == ["clerk 2"] * 3
    with pytest.raises(service.IdempotencyKeyReused):
        await once("a-key", "cook")
    with pytest.raises(service.InvalidKey):
        await once("k" * 256, "cook")
    assert done == ["clerk", "clerk"]


@pytest.fixture
async def keyed(settings: Settings, database: Database, sign_in: SignIn) -> AsyncClient:
    """An administrator at endpoints of a test, and what they have done."""
    app, things = create_app(settings), new_router("/things", tag="things", about=SERVICE)

    @things.delete("", status_code=204, dependencies=[signed_in, idempotent])
    async def drop(session: SessionDep) -> None:
        session.add(Role(name=f"role-{uuid4().hex}", permissions=[]))

    @things.post("", dependencies=[idempotent, Can(RolePermission.WRITE)])
    async def write(session: SessionDep) -> str:
        session.add(Role(name=f"role-{uuid4().hex}", permissions=[]))
        return "written"

    app.include_router(things)
    admin = await sign_in("keyed@example.com", "admin")
    client = client_of(app, database, settings)
    client.headers["Authorization"] = admin.client.headers["Authorization"]
    return client


async def number(database: Database) -> int:
    """How many roles there are."""
    async with reading(database) as session:
        return await session.scalar(select(func.count()).select_from(Role)) or 0


async def test_a_response_without_a_body_is_repeated(
    keyed: AsyncClient, database: Database
) -> None:
    before = await number(database)
    answers = [
        await keyed.request("DELETE", "/api/v1/things", headers={KEY: "a-key"}) for _ in range(3)
    ]

    assert [(each.status_code, each.content) for each in answers] == [(204, b"")] * 3
    assert "Content-Length" not in answers[1].headers
    assert await number(database) == before + 1


async def test_permissions_come_first_in_whatever_order_they_are_declared(
    keyed: AsyncClient, database: Database, session: AsyncSession
) -> None:
    written = await keyed.post("/api/v1/things", headers={KEY: "a-key"})
    await session.execute(
        update(Role).where(Role.name == "admin").values(permissions=[], version=Role.version + 1)
    )

    refused = await keyed.post("/api/v1/things", headers={KEY: "a-key"})

    assert (written.status_code, refused.status_code) == (200, 403)
    assert "Idempotent-Replayed" not in refused.headers


async def test_a_refusal_of_the_caller_is_not_kept(admin: Account, sign_in: SignIn) -> None:
    new = {"name": "officer", "permissions": ["roles:write", "roles:read"]}
    officer_role = await admin.client.post(URL, json=new)
    officer = await sign_in("officer@example.com", "officer")

    refused = await create(officer.client, "a-key", permissions=["users:read"])
    granted = {"permissions": [*new["permissions"], "users:read"]}
    await admin.client.patch(f"{URL}/{officer_role.json()['id']}", json=granted)

    assert kind(refused) == (403, "escalation")
    again = await create(officer.client, "a-key", permissions=["users:read"])
    assert again.status_code == 201


async def test_a_bug_is_logged_even_if_its_answer_cannot_be_recorded(
    admin: Account, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> Role:
        raise ZeroDivisionError

    async def unreachable(*_: object) -> None:
        raise DatabaseUnavailable

    monkeypatch.setattr(roles, "create", fail)
    monkeypatch.setattr(service.Claim, "settle", unreachable)

    assert (await create(admin.client, "a-key")).status_code == 500
    assert "unhandled_exception" in caplog.text
    assert "idempotent_answer_not_recorded" in caplog.text


async def test_a_request_that_is_cancelled_while_it_claims_leaves_no_claim(
    admin: Account, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = sessions.commit

    async def cancel(session: AsyncSession, waiting: list[Callable[[], object]]) -> None:
        monkeypatch.setattr(sessions, "commit", commit)
        await commit(session, waiting)
        raise asyncio.CancelledError

    monkeypatch.setattr(sessions, "commit", cancel)
    with pytest.raises(asyncio.CancelledError):
        await create(admin.client, "a-key")

    assert await stored(database) == 0
    assert (await create(admin.client, "a-key")).status_code == 201


async def test_a_request_that_was_taken_over_is_kept_from_then_on(
    admin: Account, database: Database
) -> None:
    async with unit_of_work(database) as session:
        old = utc_now() - timedelta(hours=26)
        await create(admin.client, "a-key")
        row = (await session.scalars(select(IdempotencyKey))).one()
        row.answer, row.created_at, row.leased_until = None, old, old
    await create(admin.client, "a-key")

    await purge(database)

    assert (await create(admin.client, "a-key")).headers["Idempotent-Replayed"] == "true"


async def test_two_keys_are_none(admin: Account) -> None:
    new: dict[str, object] = {"name": "clerk", "permissions": []}

    answer = await admin.client.post(URL, json=new, headers=[(KEY, "a-key"), (KEY, "b-key")])

    assert kind(answer) == (400, "invalid-key")


def test_each_endpoint_with_a_key_has_a_session_to_record_the_response_in(app: FastAPI) -> None:
    keyed = 0
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, APIRoute):
            asked = [*calls(route.original_route.dependant)]
            if {deps.keyed, deps.keyed_only} & {*asked}:
                keyed += 1
                assert get_session in asked, route.path

    assert keyed
