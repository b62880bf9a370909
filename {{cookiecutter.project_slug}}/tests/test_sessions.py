"""One request is one transaction, and an outage is a 503."""

import os
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import Column, MetaData, Table, Uuid, event, func, pool, select, text
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app.core.db import migrations
from app.core.db.engine import create_engine
from app.core.db.errors import DatabaseUnavailable, NotMigrated, named
from app.core.db.session import Database, SessionDep, from_engine, probe, reading, unit_of_work
from app.core.db.slots import Slots
from app.core.db.types import UTCDateTime
from app.core.settings import Settings
from app.main import create_app
from conftest import client_of
from tests.outages import eventually

MOMENT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)

notes = Table(
    "test_notes",
    MetaData(),
    Column("id", Uuid, primary_key=True, default=uuid7),
    Column("at", UTCDateTime(), default=MOMENT),
)


@asynccontextmanager
async def owning(settings: Settings) -> AsyncGenerator[AsyncConnection]:
    """A connection with the right to create tables."""
    assert settings.database_url
    engine = create_async_engine(settings.database_url, poolclass=pool.NullPool)
    async with engine.begin() as connection:
        yield connection
    await engine.dispose()


@pytest.fixture
async def notebook(committed_db: Database, settings: Settings) -> AsyncGenerator[Database]:
    """A database with a table that no feature owns."""
    unowned = settings.model_copy(update={"database_role": ""})
    async with owning(settings) as connection:
        await connection.run_sync(notes.create)
    engine = create_engine(unowned)
    yield from_engine(engine, unowned)
    await engine.dispose()
    async with owning(settings) as connection:
        await connection.run_sync(notes.drop)


@pytest.fixture
def app_with_notes(settings: Settings) -> FastAPI:
    """The service with an endpoint that writes, and may fail afterwards."""
    app = create_app(settings)

    @app.post("/notes")
    async def add(
        session: SessionDep, key: UUID | None = None, fail: bool = False
    ) -> dict[str, str]:
        await session.execute(notes.insert().values(id=key or uuid7()))
        if fail:
            raise ValueError
        return {"stored": "yes"}

    return app


async def count(database: Database) -> int | None:
    async with reading(database) as session:
        return await session.scalar(select(func.count()).select_from(notes))


async def test_a_failed_request_stores_nothing(
    app_with_notes: FastAPI, notebook: Database, settings: Settings
) -> None:
    async with client_of(app_with_notes, notebook, settings) as client:
        good = await client.post("/notes")
        bad = await client.post("/notes?fail=true")

    assert (good.status_code, bad.status_code) == (200, 500)
    assert await count(notebook) == 1


async def test_a_commit_that_fails_is_not_answered_with_success(
    app_with_notes: FastAPI, notebook: Database, settings: Settings
) -> None:
    def refuse(session: Session) -> None:
        raise RuntimeError("the disk is full")

    event.listen(Session, "before_commit", refuse)
    try:
        async with client_of(app_with_notes, notebook, settings) as client:
            answer = await client.post("/notes")
    finally:
        event.remove(Session, "before_commit", refuse)

    assert answer.status_code == 500
    assert await count(notebook) == 0


@pytest.fixture(params=["UTC", "Asia/Tokyo"])
def machine_zone(request: pytest.FixtureRequest) -> Generator[None]:
    """The time zone of the machine, which must not matter."""
    tzset = getattr(time, "tzset", lambda: None)  # Windows has none
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    tzset()


async def test_instants_come_back_as_they_went_in(notebook: Database, machine_zone: None) -> None:
    in_india = MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    async with unit_of_work(notebook) as session:
        await session.execute(notes.insert().values(at=in_india))

    async with reading(notebook) as session:
        found = (await session.execute(select(notes.c.at))).scalar_one()
        same = await session.scalar(select(notes.c.id).where(notes.c.at == in_india))

    assert found == MOMENT
    assert found.tzinfo is UTC
    assert same is not None


async def test_a_time_without_a_zone_is_refused(notebook: Database) -> None:
    with pytest.raises(StatementError, match="no time zone"):
        async with unit_of_work(notebook) as session:
            await session.execute(notes.insert().values(at=datetime(2026, 1, 1)))  # noqa: DTZ001


async def test_when_all_connections_are_taken_the_next_is_told_to_come_back(
    committed_db: Database,
) -> None:
    crowded = replace(committed_db, slots=Slots(1, 0.05))

    async with unit_of_work(crowded):
        with pytest.raises(DatabaseUnavailable):
            async with reading(crowded):
                pass
    async with reading(crowded):
        pass


async def test_a_lock_that_is_not_given_in_time_is_a_503(
    app_with_notes: FastAPI, notebook: Database, settings: Settings
) -> None:
    hasty = settings.model_copy(update={"database_role": "", "database_timeout": 0.3})
    engine = create_engine(hasty)
    async with client_of(app_with_notes, from_engine(engine, hasty), hasty) as client:

        async def is_stored() -> bool:
            return (await client.post(f"/notes?key={uuid7()}")).status_code == 200

        await eventually(is_stored)
        async with unit_of_work(notebook) as session:
            await session.execute(notes.insert().values(id=(same := uuid7())))
            late = await client.post(f"/notes?key={same}")
        await eventually(is_stored)
    await engine.dispose()

    assert (late.status_code, late.headers["Retry-After"]) == (503, "5")
    assert late.json()["type"] == "urn:problem-type:database-timeout"


async def test_a_missing_table_is_a_bug_unless_a_migration_is_missing(
    app_with_notes: FastAPI,
    committed_db: Database,
    settings: Settings,
    owner: AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = {each: before or ["older"] for each, before in migrations.known().items()}
    monkeypatch.setattr(migrations, "known", lambda: {**known, "older": []})
    async with client_of(app_with_notes, committed_db, settings) as client, owner.connect() as sql:
        bug = await client.post("/notes")
        (head,) = await sql.scalars(text("SELECT version_num FROM alembic_version"))
        write = text("UPDATE alembic_version SET version_num = :number")
        with pytest.raises(DBAPIError):
            await committed_db.rows(select(notes.c.id), {})
        await sql.execute(write, {"number": "older"})
        try:
            behind = await client.post("/notes")
            ready = await client.get("/health/ready")
            with pytest.raises(NotMigrated):
                await committed_db.rows(select(notes.c.id), {})
            with pytest.raises(NotMigrated):
                await count(committed_db)
            with pytest.raises(NotMigrated):
                await probe(committed_db, lambda session: session.execute(select(notes.c.id)))
            await sql.execute(write, {"number": "newer"})
            ahead = await client.post("/notes")
            ready_still = await client.get("/health/ready")
        finally:
            await sql.execute(write, {"number": head})

    assert bug.status_code == 500
    assert (behind.status_code, behind.headers["Retry-After"]) == (503, "5")
    assert behind.json()["detail"] == "The database has not been migrated: run `app db upgrade`."
    assert ready.json()["checks"] == {"database": "not migrated: run `app db upgrade`"}
    assert ahead.status_code == 503
    assert ahead.json()["type"] == "urn:problem-type:outdated"
    newer = "ok: migrated by a newer release, to newer"
    assert (ready_still.status_code, ready_still.json()["checks"]) == (200, {"database": newer})


async def test_a_database_that_is_gone_is_a_503(app: FastAPI, settings: Settings) -> None:
    assert settings.database_url
    gone = settings.model_copy(update={"database_url": nowhere(settings)})
    engine = create_engine(gone)
    async with client_of(app, from_engine(engine, gone), gone) as client:
        ready = await client.get("/health/ready")
        live = await client.get("/health/live")
    await engine.dispose()

    assert ready.status_code == 503
    assert ready.json()["checks"] == {"database": "unreachable"}
    assert ready.headers["Retry-After"] == "5"
    assert live.status_code == 200


def test_an_error_that_says_nothing_is_called_by_its_name() -> None:
    assert named(TimeoutError()) == "TimeoutError"
    assert named(OSError("refused")) == "OSError: refused"


def nowhere(settings: Settings) -> object:
    assert settings.database_url
    if settings.database_url.get_backend_name() == "sqlite":
        return settings.database_url.set(database="/does/not/exist/app.db")
    return settings.database_url.set(host="127.0.0.1", port=9, query={})
