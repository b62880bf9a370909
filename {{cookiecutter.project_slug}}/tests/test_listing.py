"""Lists whose statements are built once, against the same in Python."""

import random
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import pytest
from pydantic import ValidationError
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.session import Database, reading, unit_of_work
from app.core.jobs.models import JobRun, JobState
from app.core.listing import AtLeast, AtMost, Before, Containing, In, Listing
from app.core.pagination import ListQuery, SortableBy
from app.core.queries import MOST_VALUES, Several


class RunQuery(ListQuery):
    """Filters of every kind."""

    sort: Annotated[
        str,
        SortableBy(
            JobRun.created_at,
            JobRun.name,
            JobRun.attempts,
            JobRun.state,
            JobRun.finished_at,
            JobRun.error,
        ),
    ] = "-created_at"
    name: Annotated[str | None, Containing(JobRun.name)] = None
    state: Annotated[Several[JobState] | None, In(JobRun.state)] = None
    since: Annotated[datetime | None, AtLeast(JobRun.created_at)] = None
    until: Annotated[datetime | None, Before(JobRun.created_at)] = None
    at_most: Annotated[int | None, AtMost(JobRun.attempts)] = None


RUNS = Listing(RunQuery, JobRun)
START = datetime(2026, 1, 1, tzinfo=UTC)
SORTS = [
    "-created_at",
    "name",
    "-attempts,name",
    "attempts,-created_at",
    "state,-id",
    "-name,state",
    "finished_at",
    "-finished_at",
    "-finished_at,name,error",
    "error,-finished_at",
    "-name,finished_at",
    "state,-error,-finished_at",
    "id,error",
]
FILTERS: list[dict[str, Any]] = [
    {},
    {"name": "B"},
    {"state": ["done"], "at_most": 2},
    {"state": ["running", "done"]},
    {"state": ["queued", "dead", "done"], "name": "a"},
    {"since": START + timedelta(minutes=3), "at_most": 1},
    {"since": START + timedelta(minutes=1), "until": START + timedelta(minutes=4)},
    {"name": "a", "state": ["queued"], "since": START, "at_most": 3},
]


@pytest.fixture
async def rows(committed_db: Database) -> list[JobRun]:
    """Runs with few different values in each column."""
    chance = random.Random(7)  # noqa: S311, only to be repeatable
    made = [
        JobRun(
            name=chance.choice(["a", "b", "ab", "bb", "c"]),
            queue="default",
            arguments={},
            state=chance.choice([JobState.DONE, JobState.DEAD, JobState.QUEUED]),
            attempts=chance.randrange(4),
            finished_at=chance.choice([None, START, START + timedelta(days=1)]),
            error=chance.choice([None, "a", "b"]),
            created_at=START + timedelta(minutes=chance.randrange(6)),
        )
        for _ in range(60)
    ]
    async with unit_of_work(committed_db) as session:
        await session.execute(delete(JobRun))  # a scheduler of an earlier test may have added some
        session.add_all(made)
    return made


def expected(rows: list[JobRun], query: RunQuery) -> list[Any]:
    """The ids, filtered and sorted by Python."""
    since, most = query.since or START, query.at_most if query.at_most is not None else 9
    found = [
        row
        for row in rows
        if (query.name or "").lower() in row.name.lower()
        and (query.state is None or row.state in query.state)
        and row.created_at >= since
        and (query.until is None or row.created_at < query.until)
        and row.attempts <= most
    ]
    for name, term in reversed(query.sort_terms().items()):
        found.sort(key=lambda row: greatest(getattr(row, name)), reverse=term != name)
    return [row.id for row in found]


def greatest(value: object) -> tuple[bool, Any]:
    """What a value is compared by: none is greater than any."""
    return value is None, value if value is not None else 0


@asynccontextmanager
async def session_of(database: Database) -> AsyncGenerator[AsyncSession]:
    async with reading(database) as session:
        yield session


@asynccontextmanager
async def itself(database: Database) -> AsyncGenerator[Database]:
    yield database


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("reader", [itself, session_of])
async def test_every_page_of_every_list_is_as_in_python(
    committed_db: Database, rows: list[JobRun], reader: Callable[[Database], Any], *, every: bool
) -> None:
    """With all filters in each order, or with each filter in some."""
    all_of_them = [(sort, filters) for sort in SORTS for filters in FILTERS]
    async with reader(committed_db) as opened:
        for sort, filters in all_of_them if every else all_of_them[:: len(FILTERS) - 1]:
            query = RunQuery.model_validate(
                {"sort": sort, "limit": 7, "with_total": True, **filters}
            )
            wanted = expected(rows, query)
            assert wanted
            for asked in (query, query.backwards()):
                seen: list[Any] = []
                async for page in walk(opened, asked):
                    assert page.total == len(wanted)
                    ids = [row.id for row in page.items]
                    seen = [*ids, *seen] if asked.is_backwards else [*seen, *ids]
                assert seen == wanted, (sort, filters, asked.is_backwards)
            for offset in (0, 5, 20, 37, len(wanted), len(wanted) + 5):
                part = query.model_copy(update={"offset": offset})
                found = await RUNS.page(opened, part)
                assert [row.id for row in found.items] == wanted[offset : offset + 7]
                assert found.next_cursor is None


async def walk(reader: Database | AsyncSession, query: RunQuery) -> AsyncGenerator[Any]:
    """Page after page, from the start or from the end."""
    while True:
        page = await RUNS.page(reader, query)
        yield page
        assert page.cursor_of
        if not (page.has_previous if query.is_backwards else page.next_cursor):
            return
        cursor = page.cursor_of(0 if query.is_backwards else -1)
        query = query.model_copy(update={"cursor": cursor})


async def test_no_character_of_a_filter_stands_for_others(committed_db: Database) -> None:
    names = ["100%", "100", "a_b", "aXb", "a/b", "a\\b", "A_B'"]
    async with unit_of_work(committed_db) as session:
        session.add_all(
            JobRun(name=name, queue="default", arguments={}, due_at=None) for name in names
        )

    for part in ["%", "_", "/", "\\", "'", "a_b", "0%", "x"]:
        page = await RUNS.page(committed_db, RunQuery.model_validate({"name": part}))
        assert sorted(row.name for row in page.items) == sorted(holding(part, names)), part


def holding(part: str, names: list[str]) -> Iterator[str]:
    return (name for name in names if part.lower() in name.lower())


async def test_each_shape_is_built_once(committed_db: Database, rows: list[JobRun]) -> None:
    listing = Listing(RunQuery, JobRun)
    for name, limit in [("a", 1), ("a", 2), ("b", 1)]:
        query = RunQuery.model_validate({"name": name, "limit": limit})
        page = await listing.page(committed_db, query)
        await listing.page(committed_db, query.model_copy(update={"cursor": page.next_cursor}))

    assert listing.statement.cache_info().misses == 2


async def test_the_number_of_values_is_no_shape_of_its_own(committed_db: Database) -> None:
    listing = Listing(RunQuery, JobRun)
    for number in range(1, len(JobState) + 1):
        await listing.page(
            committed_db, RunQuery.model_validate({"state": [*JobState][:number], "limit": 1})
        )

    assert listing.statement.cache_info().misses == 3, "for one, for two, and for up to four"


def test_the_order_of_values_is_no_other_filter() -> None:
    def mark(*states: str) -> str:
        return RunQuery.model_validate({"state": [*states]}).fingerprint()

    assert mark("done", "dead") == mark("dead", "done") == mark("dead", "done", "dead")
    assert len({mark("done"), mark("dead"), mark("dead", "done")}) == 3
    assert '"state":"done"' in RunQuery.model_validate({"state": ["done"]}).model_dump_json()


@pytest.mark.parametrize("states", [[], ["odd"], ["done"] * (MOST_VALUES + 1)])
def test_values_are_one_or_more_and_not_many(states: list[str]) -> None:
    with pytest.raises(ValidationError):
        RunQuery.model_validate({"state": states})


def test_a_filter_that_filters_nothing_is_refused() -> None:
    class Forgotten(ListQuery):
        sort: Annotated[str, SortableBy(JobRun.created_at)] = "created_at"
        name: str | None = None

    with pytest.raises(TypeError, match="Forgotten: say in the type of name"):
        Listing(Forgotten, JobRun)
