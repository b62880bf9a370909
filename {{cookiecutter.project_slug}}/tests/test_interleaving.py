"""Whatever is inserted, changed and deleted while a list is read, each other row is read once, in order, NULL or not."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings as examples, strategies as st

from app.core.db.session import Database, unit_of_work
from app.core.jobs.models import JobRun
from app.core.listing import Equal, Listing
from app.core.pagination import ListQuery, SortableBy


class RunQuery(ListQuery):
    """With columns that may be NULL."""

    sort: Annotated[str, SortableBy(JobRun.finished_at, JobRun.error, JobRun.attempts)] = (
        "finished_at"
    )
    name: Annotated[str | None, Equal(JobRun.name)] = None


RUNS = Listing(RunQuery, JobRun)
DAYS = [None, *(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(2))]
SORTS = [
    "finished_at",
    "-finished_at",
    "finished_at,-error",
    "-finished_at,error,-attempts",
    "-error,attempts,-id",
    "attempts,finished_at",
    "-attempts,-error",
]
ROW = st.tuples(st.sampled_from(DAYS), st.sampled_from([None, "a", "b"]), st.integers(0, 1))
STEPS = st.one_of(
    st.tuples(st.just("insert"), ROW),
    st.tuples(st.just("change"), st.tuples(st.integers(0, 20), ROW)),
    st.tuples(st.just("delete"), st.integers(0, 20)),
    st.tuples(st.just("page"), st.integers(1, 3)),
)


class Table:
    """The rows of one example, each changed in a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.name = uuid4().hex
        self.rows: dict[UUID, JobRun] = {}

    async def insert(self, row: tuple[Any, ...]) -> None:
        run = JobRun(name=self.name, queue="q", arguments={}, due_at=None)
        run.finished_at, run.error, run.attempts = row
        async with unit_of_work(self.database) as session:
            session.add(run)
        self.rows[run.id] = run

    async def alter(self, number: int, row: tuple[Any, ...] | None) -> UUID | None:
        """Change a row, or delete it; its id, if there is one."""
        if not self.rows:
            return None
        chosen = sorted(self.rows)[number % len(self.rows)]
        async with unit_of_work(self.database) as session:
            run = await session.get(JobRun, chosen)
            if row is None:
                await session.delete(run)
                del self.rows[chosen]
            elif run:
                run.finished_at, run.error, run.attempts = row
        return chosen


def key(row: Any, query: RunQuery) -> list[Any]:  # noqa: ANN401, a row of any kind
    """What rows are compared by: NULL is greater than every value."""
    signs = {name: 1 if term == name else -1 for name, term in query.sort_terms().items()}
    ranks = {name: rank_of(getattr(row, name)) for name in signs}
    return [signs[name] * each for name in signs for each in ranks[name]]


def rank_of(value: object) -> tuple[bool, float]:
    """Numbers in the order of the values."""
    match value:
        case datetime():
            return False, value.timestamp()
        case str():
            return False, ord(value)
        case UUID() | int():
            return False, int(value)
        case _:
            return True, 0


@pytest.mark.slow
@pytest.mark.timeout(300)
@given(
    sort=st.sampled_from(SORTS),
    start=st.lists(ROW, max_size=8),
    steps=st.lists(STEPS, max_size=12),
    backwards=st.booleans(),
)
@examples(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_each_row_that_stays_is_read_once(
    committed_db: Database,
    sort: str,
    start: list[tuple[Any, ...]],
    steps: list[tuple[str, Any]],
    *,
    backwards: bool,
) -> None:
    table = Table(committed_db)
    for row in start:
        await table.insert(row)
    stays, altered = {*table.rows}, set[UUID | None]()
    query = RunQuery.model_validate({"sort": sort, "name": table.name})
    query = query.backwards() if backwards else query
    seen, ended = list[Any](), False
    to_the_end: list[tuple[str, Any]] = [("page", 3)] * 20
    for what, value in steps + to_the_end:
        if what == "insert":
            await table.insert(value)
        elif what == "change":
            altered.add(await table.alter(*value))
        elif what == "delete":
            altered.add(await table.alter(value, None))
        elif not ended:
            page = await RUNS.page(committed_db, query.model_copy(update={"limit": value}))
            seen = [*page.items, *seen] if backwards else [*seen, *page.items]
            ended = not (page.has_previous if backwards else page.next_cursor)
            if not ended:
                assert page.cursor_of
                cursor = page.cursor_of(0 if backwards else -1)
                query = query.model_copy(update={"cursor": cursor})

    ids = [row.id for row in seen if row.id not in altered]
    assert ended
    assert len(ids) == len({*ids})
    assert stays - altered <= {*ids}
    keys = [key(row, query) for row in seen]
    assert keys == sorted(keys)
