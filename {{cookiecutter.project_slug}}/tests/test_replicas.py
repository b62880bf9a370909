"""What only shows rows is read from replicas; what is decided by, and what a client has just written, is not."""

import logging
from collections.abc import AsyncGenerator, Generator
from time import monotonic, time

import pytest
from httpx2 import AsyncClient
from sqlalchemy import bindparam, select, text

from app.core.db import migrations
from app.core.db.base import Base
from app.core.db.session import Database, reading, unit_of_work
from app.core.read_after import COOKIE, HEADER, signed
from app.core.service import Service
from app.core.settings import Settings
from app.features.audit.models import AuditEvent
from app.features.cache import cached
from app.features.users.models import User
from app.main import create_app
from conftest import Account, client_over, make_account
from tests import replicas
from tests.replicas import THERE, actions, asking, following, replicas_of, sees_replica

ME = "/api/v1/users/me"
RENAMED = {"full_name": "Ada"}
HERE = "seen.on.the.primary"
ACTIONS = select(AuditEvent.action).where(AuditEvent.action != bindparam("not"))
SECRET = ("password", "token", "secret", "hash", "permissions")


@pytest.fixture(scope="module")
def there(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Generator[Settings]:
    """A second database, which stands for a replica that lags: it lacks what the tests write."""
    with replicas.second_database(settings, tmp_path_factory.mktemp("second")) as second:
        yield second


@pytest.fixture
async def replica(there: Settings) -> Settings:
    """The same, with an event that the primary lacks."""
    await replicas.note_event(there)
    return there


@pytest.fixture
async def service(
    committed_db: Database, settings: Settings, replica: Settings
) -> AsyncGenerator[Service]:
    """A service with a replica."""
    assert replica.database_url
    async with following(committed_db, settings, replica.database_url) as service:
        yield service


@pytest.fixture
async def ada(service: Service) -> AsyncGenerator[Account]:
    """An administrator."""
    async with replicas.client_of(service) as client:
        yield await make_account(service.database, client, "ada@example.com", "admin")


async def test_lists_are_read_from_the_replica(ada: Account) -> None:
    assert await sees_replica(ada.client)


async def test_who_asks_is_read_from_the_primary(ada: Account) -> None:
    me = await ada.client.get(ME)
    listed = await ada.client.get("/api/v1/users")
    own = await ada.client.get("/api/v1/auth/sessions")
    roles = await ada.client.get("/api/v1/roles")

    assert me.json()["email"] == ada.email
    assert ada.email in {user["email"] for user in listed.json()["items"]}
    assert len(own.json()) == 1
    assert "admin" in {role["name"] for role in roles.json()["items"]}


async def test_a_revoked_session_stays_out(ada: Account) -> None:
    assert (await ada.client.post("/api/v1/auth/logout")).status_code == 204
    ada.client.cookies.clear()

    assert (await ada.client.get(replicas.EVENTS)).status_code == 401


async def test_a_repeated_response_is_marked_although_nothing_is_written(ada: Account) -> None:
    """The first response, and its mark, may have been lost."""
    key = {"Idempotency-Key": "a-key"}
    role: dict[str, object] = {"name": "clerk", "permissions": []}
    first = await ada.client.post("/api/v1/roles", json=role, headers=key)
    ada.client.cookies.clear()
    second = await ada.client.post("/api/v1/roles", json=role, headers=key)

    assert first.status_code == second.status_code == 201
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.headers.get_list(HEADER) == [second.headers[HEADER]]


@pytest.mark.parametrize("kept", ["cookie", "header"])
async def test_who_has_written_reads_the_primary(ada: Account, kept: str) -> None:
    client = ada.client
    changed = await client.patch(ME, json=RENAMED)
    if kept == "header":
        client.cookies.clear()
        client.headers[HEADER] = changed.headers[HEADER]

    assert changed.status_code == 200
    assert not await sees_replica(client)

    client.cookies.clear()
    client.headers.pop(HEADER, None)
    assert await sees_replica(client)


async def test_who_is_refused_for_an_old_version_reads_the_current_one(ada: Account) -> None:
    role: dict[str, object] = {"name": "clerk", "permissions": []}
    made = (await ada.client.post("/api/v1/roles", json=role)).json()
    ada.client.cookies.clear()
    old = {"If-Match": '"99"'}

    refused = await ada.client.patch(f"/api/v1/roles/{made['id']}", json={}, headers=old)

    assert refused.status_code == 412
    assert refused.headers[HEADER]


async def test_the_cookie_is_for_this_service_alone(ada: Account, service: Service) -> None:
    changed = await ada.client.patch(ME, json=RENAMED)
    deployed = service.settings.model_copy(update={"environment": "production"})
    app = create_app(deployed)
    async with client_over(app, service) as client:
        client.headers["Authorization"] = ada.client.headers["Authorization"]
        secure = await client.patch(ME, json=RENAMED)

    given = changed.headers["Set-Cookie"]
    mark = changed.headers[HEADER]
    assert given == f"{COOKIE}={mark}; Max-Age=10; Path=/; HttpOnly; SameSite=Lax"
    assert secure.headers["Set-Cookie"].endswith("; SameSite=Lax; Secure")


async def test_what_writes_nothing_sets_no_mark(ada: Account) -> None:
    read = await ada.client.get(replicas.EVENTS)
    user = await ada.client.get(f"/api/v1/users/{ada.id}")
    refused = await ada.client.patch(ME, json={"full_name": 1})

    for response in (read, user, refused):
        assert HEADER not in response.headers
        assert "Set-Cookie" not in response.headers


async def test_a_refusal_that_was_recorded_sets_one(ada: Account) -> None:
    wrong = {"username": ada.email, "password": "wrong"}
    refused = await ada.client.post("/api/v1/auth/login", data=wrong)

    assert refused.status_code == 401
    assert HEADER in refused.headers


async def test_forged_and_expired_marks_are_ignored(ada: Account, service: Service) -> None:
    key, now = service.keys[0], time()
    good = signed(now + 9, key)
    until, signature = good.split(".")
    for mark in (
        signed(now + 9, "another key"),
        signed(now - 1, key),
        f"{int(until) + 1}.{signature}",
        f"{until}.",
        until,
        f".{signature}",
        "",
        "9" * 100,
        "²." + signature,
        "\xff." + signature,
    ):
        for name, text_of_it in ((HEADER, mark), ("Cookie", f"{COOKIE}={mark}")):
            headers = [(name.encode(), text_of_it.encode("latin-1", "ignore"))]
            response = await ada.client.get(replicas.EVENTS, headers=headers)
            assert response.status_code == 200
            assert THERE in response.text, mark

    response = await ada.client.get(replicas.EVENTS, headers={HEADER: good})
    assert THERE not in response.text


async def test_a_mark_of_the_previous_key_counts(
    committed_db: Database, settings: Settings, replica: Settings
) -> None:
    before = settings.model_copy(update={"previous_secret_key": settings.secret_key})
    async with following(committed_db, before, replica.database_url or "") as service:
        other = service.keys[0]
        async with replicas.client_of(service) as client:
            ada = await make_account(service.database, client, "ada@example.com", "admin")
            assert await sees_replica(ada.client)
            client.headers[HEADER] = signed(time() + 9, other)
            assert not await sees_replica(ada.client)


async def test_other_origins_may_present_marks(service: Service) -> None:
    ours = service.settings.model_copy(update={"cors_origins": ["https://app.example.com"]})
    asked = {
        "Origin": "https://app.example.com",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": HEADER,
    }
    async with client_over(create_app(ours), service) as client:
        allowed = await client.options(ME, headers=asked)
        response = await client.get(ME, headers={"Origin": "https://app.example.com"})

    assert allowed.status_code == 200
    assert HEADER in response.headers["Access-Control-Expose-Headers"]


async def test_only_what_may_lag_in_requests_that_only_read_is_asked_of_replicas(
    service: Service,
) -> None:
    database = service.database

    async def rows(*, may_lag: bool = True) -> bool:
        found = await database.rows(ACTIONS, {"not": ""}, may_lag=may_lag)
        async with reading(database, may_lag=may_lag) as session:
            again = await session.scalars(ACTIONS, {"not": ""})
        seen = THERE in {row.action for row in found}
        assert (THERE in again.all()) == seen
        return seen

    assert not await rows()
    with asking():
        assert await rows()
        assert not await rows(may_lag=False)
    with asking(only_reads=False):
        assert not await rows()
    with asking() as request:
        async with unit_of_work(database) as session:
            await session.execute(select(User.id))
        assert await rows()
        async with unit_of_work(database) as session:
            session.add(AuditEvent(action=HERE, object_type="test"))
        assert not await rows()
    assert request.wrote


async def test_a_session_that_asks_for_credentials_changes_to_the_primary(
    service: Service, ada: Account
) -> None:
    by_email = select(User.password_hash).where(User.email == ada.email)
    as_text = text("SELECT email FROM users AS u")
    joined = select(AuditEvent.action).outerjoin(User, User.id == AuditEvent.actor_id)
    databases = [service.database, *(each.database for each in replicas_of(service).all)]
    free = [each.slots.free for each in databases]
    with asking():
        for statement in (by_email, as_text, joined):
            async with reading(service.database, may_lag=True) as session:
                assert THERE in (await session.scalars(ACTIONS, {"not": ""})).all()
                assert await session.scalar(statement)
                assert THERE not in (await session.scalars(ACTIONS, {"not": ""})).all()
        found = await service.database.rows(by_email, {}, may_lag=True)
    assert len(found) == 1
    assert [each.slots.free for each in databases] == free


@cached(seconds=60)
async def kept(database: Database) -> list[str]:
    """The actions of all events."""
    return [row.action for row in await database.rows(ACTIONS, {"not": ""}, may_lag=True)]


async def test_what_is_cached_is_read_from_the_primary(service: Service) -> None:
    with asking():
        assert THERE not in await kept(service.database)
        assert THERE in {
            row.action for row in await service.database.rows(ACTIONS, {"not": ""}, may_lag=True)
        }


def test_every_table_with_secrets_is_read_from_the_primary() -> None:
    named = {
        mapper.class_.__name__
        for mapper in Base.registry.mappers
        for column in mapper.columns
        if any(word in column.name for word in SECRET) and not mapper.class_.from_primary
    }

    assert not named


async def test_a_replica_that_cannot_be_reached_is_left_out(
    committed_db: Database,
    settings: Settings,
    replica: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert replica.database_url
    away = replica.database_url.set(host="127.0.0.1", port=1, query={})
    if away.get_backend_name() == "sqlite":
        away = replica.database_url.set(database="/nowhere/test.db")
    caplog.set_level(logging.INFO, "app.core.db.replicas")
    async with (
        following(committed_db, settings, away) as service,
        replicas.client_of(service) as client,
    ):
        await make_account(service.database, client, "ada@example.com", "admin")
        for _ in range(3):
            assert not await sees_replica(client)
            await replicas_of(service).check_all()
        ready = await client.get("/health/ready")

    assert ready.json()["checks"]["replicas"] == "degraded: 0 of 1 are used"
    (line,) = [each for each in caplog.messages if "replica" in each]
    assert "is left out: DATABASE_REPLICA_URLS: " in line


async def test_a_replica_that_lacks_migrations_is_left_out_until_it_has_them(
    service: Service, ada: Account, replica: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {each: before or ["0000"] for each, before in migrations.known().items()}
    monkeypatch.setattr(migrations, "known", lambda: {**known, "0000": []})
    found = replicas_of(service)

    owner = replica.model_copy(update={"database_role": ""})
    async with replicas.opened(owner) as database, database.writer() as session:
        at = await session.scalar(text("SELECT version_num FROM alembic_version"))
        await session.execute(text("UPDATE alembic_version SET version_num = '0000'"))
        await session.commit()
        await found.check_all()
        assert not await sees_replica(ada.client)
        ready = await ada.client.get("/health/ready")
        assert ready.json()["checks"]["replicas"] == "degraded: 0 of 1 are used"

        await session.execute(text("UPDATE alembic_version SET version_num = :at"), {"at": at})
        await session.commit()
        await found.check_all()
        assert await sees_replica(ada.client)
    assert (await ada.client.get("/health/ready")).json()["checks"]["replicas"] == "ok"


async def test_replicas_take_turns(
    committed_db: Database, settings: Settings, replica: Settings
) -> None:
    url = replica.database_url or ""
    async with following(committed_db, settings, url, url) as service:
        found = replicas_of(service)
        with asking():
            first, second, third = (found.choice() for _ in range(3))
            assert first is third is not second
            found.all[0].turn("out")
            assert {found.choice() for _ in range(3)} == {found.all[1]}
            found.all[1].current = (
                monotonic() - 11
            )  # it may lack what a client wrote whose mark has expired
            assert found.choice() is None
            found.all[1].current = monotonic()
            assert found.choice() is found.all[1]
            found.all[1].turn("out")
            assert found.choice() is None


async def test_without_replicas_nothing_is_marked(
    committed_client: AsyncClient, committed_admin: Account
) -> None:
    changed = await committed_client.patch(ME, json=RENAMED)
    ready = await committed_client.get("/health/ready")

    assert changed.status_code == 200
    assert HEADER not in changed.headers
    assert "replicas" not in ready.json()["checks"]
    assert await actions(committed_client)
