"""Functions whose results are kept: for which arguments, whose, and until which change."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel, SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.context import Actor, actor
from app.core.db.session import Database, after_commit, unit_of_work
from app.core.service import service_of
from app.features.cache.memory import Memory
from app.features.cache.service import cached, caching, invalidate
from app.features.cache.store import Kept


class Report(BaseModel):
    """What is kept here."""

    text: str


@dataclass
class Shop:
    """Functions whose results are kept."""

    loads: list[tuple[object, str]]
    report: Callable[..., Awaitable[Report]]


@pytest.fixture
def shop() -> Shop:
    """One of its own for each test."""
    loads: list[tuple[object, str]] = []

    @cached(seconds=60, tags=["reports"])
    async def report(database: Database, number: object, *, language: str = "en") -> Report:
        loads.append((number, language))
        return Report(text=f"{number} {language}")

    return Shop(loads, report)


async def test_each_arguments_have_a_result_of_their_own(
    committed_db: Database, shop: Shop
) -> None:
    first = await shop.report(committed_db, 1)
    second = await shop.report(committed_db, 1)
    other = await shop.report(committed_db, 1, language="de")

    assert first == second == Report(text="1 en")
    assert other == Report(text="1 de")
    assert shop.loads == [(1, "en"), (1, "de")]


async def test_a_change_counts_once_it_is_committed(committed_db: Database, shop: Shop) -> None:
    await shop.report(committed_db, 1)
    with pytest.raises(ZeroDivisionError):
        async with unit_of_work(committed_db) as session:
            invalidate(session, "reports")
            raise ZeroDivisionError
    await shop.report(committed_db, 1)
    async with unit_of_work(committed_db) as session:
        invalidate(session, "reports")
        await shop.report(committed_db, 1)
    assert len(shop.loads) == 1
    await shop.report(committed_db, 1)

    assert len(shop.loads) == 2


async def test_a_result_of_another_shape_is_loaded_again(
    committed_db: Database, shop: Shop
) -> None:
    """As after a release that changed what is kept."""
    backend = service_of(committed_db).resource(caching).store.backend
    await shop.report(committed_db, 1)
    assert isinstance(backend, Memory)
    for key in [*backend.entries]:
        kept = Kept.read(await backend.get(key))
        if kept:
            await backend.set(key, Kept(kept.tags, kept.until, b'{"another": 1}').stored(), 60)

    assert await shop.report(committed_db, 1) == Report(text="1 en")
    assert len(shop.loads) == 2


async def test_arguments_that_json_shows_alike_are_refused(
    committed_db: Database, shop: Shop
) -> None:
    for argument in (SecretStr("ada"), Report(text="a"), b"a", 1.5, [1]):
        with pytest.raises(TypeError, match="pass ids, numbers, texts"):
            await shop.report(committed_db, argument)
    for argument in (1, "1", True, None, ("1",), ((1,),)):
        await shop.report(committed_db, argument)

    assert len(shop.loads) == 6


def test_secrets_are_not_cached() -> None:
    async def secret(database: Database) -> list[SecretStr]:
        return [SecretStr("hunter2")]

    with pytest.raises(TypeError, match="returns secrets"):
        cached(seconds=60)(secret)


async def test_what_is_loaded_is_not_loaded_as_the_first_who_asks(committed_db: Database) -> None:
    @cached(seconds=60)
    async def asked_by(database: Database) -> UUID | None:
        return actor.get().user_id

    token = actor.set(Actor(user_id=uuid4()))
    try:
        assert await asked_by(committed_db) is None
    finally:
        actor.reset(token)


async def test_changes_count_whatever_else_fails_after_the_commit(
    committed_db: Database, shop: Shop
) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    await shop.report(committed_db, 1)
    with pytest.raises(ZeroDivisionError):
        async with unit_of_work(committed_db) as session:
            after_commit(session, fail)
            invalidate(session, "reports")
    await shop.report(committed_db, 1)

    assert len(shop.loads) == 2


async def test_changes_count_if_it_is_unknown_whether_they_were_committed(
    committed_db: Database, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = AsyncSession.commit

    async def cancelled(session: AsyncSession) -> None:
        await commit(session)
        raise asyncio.CancelledError

    await shop.report(committed_db, 1)
    with monkeypatch.context() as patch, pytest.raises(asyncio.CancelledError):
        patch.setattr(AsyncSession, "commit", cancelled)
        async with unit_of_work(committed_db) as session:
            invalidate(session, "reports")
    await shop.report(committed_db, 1)

    assert len(shop.loads) == 2
