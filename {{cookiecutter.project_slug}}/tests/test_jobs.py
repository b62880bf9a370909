"""Jobs run once, are retried, or are kept as dead for inspection."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypedDict
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from app import installed
from app.core.context import ANONYMOUS, Actor, actor
from app.core.correlation import correlation_id
from app.core.db.base import utc_now
from app.core.db.errors import DatabaseUnavailable
from app.core.db.session import Database, reading, unit_of_work
from app.core.db.slots import Slots
from app.core.jobs import GiveUp, Job, job, local as local_module, purge, store
from app.core.jobs.local import LocalQueue
from app.core.jobs.models import JobRun, JobState
from app.core.jobs.outbox import enqueue, enqueue_at, enqueue_tick
from app.core.jobs.runner import execute, run_due
from app.core.jobs.schedule import cron, every
from app.core.jobs.sealing import unseal
from app.core.jobs.shares import Shares
from app.core.jobs.ticker import Ticker, recent
from app.core.jobs.work import Work
from app.core.security.keys import signing_keys
from app.core.settings import Settings
from app.features import audit
from app.features.audit.models import AuditEvent
from app.features.jobs.jobs import purge_jobs
from tests.inline import InlineQueue, database_of, make_due, serving

HOUR = timedelta(hours=1)


class Seen(TypedDict):
    """The arguments of a job's calls."""

    number: int
    day: datetime
    id: UUID


seen: list[object] = []
behavior: dict[str, Callable[[], Awaitable[None]]] = {}


async def behave(name: str) -> None:
    """What the test defines for this job."""
    await behavior.get(name, nothing)()


async def nothing() -> None:
    """It just works."""


@job("test.note", retries=3, backoff=timedelta(seconds=8), max_backoff=timedelta(seconds=20))
async def note(work: Work, *, text: str) -> None:
    audit.record(work.session, text, "test", None)
    await work.session.flush()
    await behave("note")
    seen.append(text)


@job("test.typed")
async def typed(work: Work, *, number: int, day: datetime, id: UUID) -> None:  # noqa: A002
    seen.append({"number": number, "day": day, "id": id})


@job("test.lenient")
async def lenient(work: Work, *, text: str = "as always") -> None:
    seen.append(text)


@job("test.hasty", time_limit=timedelta(seconds=0.05), retries=0)
async def hasty(work: Work) -> None:
    await asyncio.sleep(30)


@job("test.unique", unique_for=HOUR)
async def unique(work: Work, *, text: str) -> None:
    seen.append(text)


@job("test.secret", secret=True, retries=0)
async def secret(work: Work, *, text: str) -> None:
    await behave("secret")
    seen.append(text)


@job("test.patient_secret", secret=True)
async def patient_secret(work: Work, *, text: str) -> None:
    seen.append(text)


@job("test.scheduled", schedule=every(minutes=1))
async def scheduled(work: Work) -> None:
    await behave("scheduled")
    seen.append(utc_now())


@job("test.context")
async def in_context(work: Work) -> None:
    seen.append((correlation_id.get(), actor.get()))


@job("test.urgent", queue="urgent")
async def urgent(work: Work, *, text: str) -> None:
    await behave("urgent")
    seen.append(text)


DECLARED = [
    note,
    typed,
    lenient,
    hasty,
    unique,
    secret,
    patient_secret,
    scheduled,
    in_context,
    urgent,
]
JOBS = {each.name: each for each in DECLARED}
ALL_JOBS = {**installed.JOBS, **JOBS}


@pytest.fixture(autouse=True)
def forget() -> None:
    """Isolate each test from the others."""
    seen.clear()
    behavior.clear()


@pytest.fixture
def never_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Full jitter may mean no delay at all; here retries are never due at once."""
    uniform = random.uniform

    def later(low: float, high: float) -> float:
        return uniform((low + high) / 2, high)

    monkeypatch.setattr(random, "uniform", later)


@dataclass
class Table:
    """The job table, as tests inspect it."""

    database: Database
    settings: Settings

    async def rows(self) -> Sequence[JobRun]:
        async with reading(self.database) as session:
            return (await session.scalars(select(JobRun).order_by(JobRun.id))).all()

    async def only(self) -> JobRun:
        (row,) = await self.rows()
        return row

    async def add(self, wanted: Job[...], **arguments: object) -> UUID | None:
        async with unit_of_work(self.database) as session:
            return await enqueue(session, wanted, **arguments)

    async def run(self, settings: Settings | None = None) -> int:
        return await run_due(
            serving(
                self.database,
                settings=settings or self.settings,
                keys=signing_keys(settings or self.settings),
                jobs=JOBS,
            )
        )

    async def claim(self) -> JobRun:
        async with unit_of_work(self.database) as session:
            (claimed,) = await store.claim(session, JOBS, limit=1)
            return claimed

    async def effects(self) -> list[str]:
        """What the jobs have written in their sessions."""
        async with reading(self.database) as session:
            events = select(AuditEvent.action).where(AuditEvent.object_type == "test")
            return sorted(await session.scalars(events))


@pytest.fixture
def table(committed_db: Database, settings: Settings) -> Table:
    """The job table, with real commits."""
    return Table(committed_db, settings)


async def test_a_job_runs_once(table: Table) -> None:
    await table.add(note, text="a")
    assert (await table.only()).nudged_at, "no other process sends it at once"

    assert await table.run() == 1
    assert await table.run() == 0
    assert await table.effects() == ["a"]
    row = await table.only()
    assert (row.state, row.attempts, row.due_at, row.claim) == (JobState.DONE, 1, None, None)


async def test_arguments_are_checked_and_come_back_as_what_they_were(table: Table) -> None:
    given: Seen = {"number": 7, "day": datetime(2026, 1, 2, tzinfo=UTC), "id": uuid4()}
    with pytest.raises(ValidationError):
        await table.add(typed, **{**given, "number": "many"})
    with pytest.raises(ValidationError):
        await table.add(typed, **given, more=1)
    assert await table.rows() == []

    await table.add(typed, **given)
    await table.run()

    assert seen == [given]


async def test_an_argument_that_was_not_stored_has_its_default(table: Table) -> None:
    """It may be newer than the row."""
    await table.add(lenient)
    assert (await table.only()).arguments == {"text": "as always"}
    async with unit_of_work(table.database) as session:
        await session.execute(update(JobRun).values(arguments={}))

    await table.run()

    assert seen == ["as always"]


async def test_arguments_must_have_names() -> None:
    async def positional(work: Work, text: str) -> None: ...

    async def scheduled_with_arguments(work: Work, *, text: str) -> None: ...

    async def starred(work: Work, *, text: SecretStr) -> None: ...

    with pytest.raises(TypeError, match="keyword-only"):
        job("test.positional")(positional)
    with pytest.raises(TypeError, match="masked"):
        job("test.starred", secret=True)(starred)
    with pytest.raises(TypeError, match="no arguments"):
        job("test.scheduled", schedule=every(hours=1))(scheduled_with_arguments)


async def test_what_is_rolled_back_was_never_asked_for(table: Table, queue: InlineQueue) -> None:
    class Stop(Exception):
        pass

    with pytest.raises(Stop):
        async with unit_of_work(table.database) as session:
            await enqueue(session, note, text="request")
            raise Stop
    assert (await table.rows(), queue.nudges) == ([], [])

    async with unit_of_work(table.database) as session:
        await enqueue(session, note, text="kept")
        with pytest.raises(Stop):
            async with session.begin_nested():
                await enqueue(session, note, text="savepoint")
                raise Stop
        async with session.begin_nested():
            await enqueue(session, note, text="released")
        assert queue.nudges == []

    kept = await table.rows()
    assert [row.arguments["text"] for row in kept] == ["kept", "released"]
    assert queue.nudges == [(row.id, "test.note") for row in kept]


async def test_what_a_failed_attempt_wrote_is_not_kept(table: Table, never_at_once: None) -> None:
    behavior["note"] = failing
    await table.add(note, text="a")

    await table.run()

    assert await table.effects() == []
    row = await table.only()
    assert (row.state, row.error) == (JobState.QUEUED, "RuntimeError: no luck")


async def failing() -> None:
    raise RuntimeError("no luck")


async def test_a_job_that_always_fails_is_tried_on_its_schedule_and_then_kept(
    table: Table, never_at_once: None
) -> None:
    behavior["note"] = failing
    await table.add(note, text="a")

    for ceiling in (8, 16, 20):  # seconds: doubled, up to the limit
        before = utc_now()
        assert await table.run() == 1
        row = await table.only()
        assert row.due_at is not None
        assert before <= row.due_at <= utc_now() + timedelta(seconds=ceiling)
        await make_due(table.database)
    await table.run()

    row = await table.only()
    assert (row.state, row.attempts, row.due_at) == (JobState.DEAD, 4, None)
    await make_due(table.database)
    assert await table.run() == 0


def test_delays_are_spread_evenly() -> None:
    delays = sorted(note.delay(2).total_seconds() for _ in range(1000))

    assert 0 <= delays[0] < 1
    assert 7 < delays[500] < 9
    assert 15 < delays[-1] <= 16
    assert note.delay(1_000_000) <= note.max_backoff


async def test_a_job_that_gives_up_is_not_tried_again(table: Table) -> None:
    async def hopeless() -> None:
        raise GiveUp("there is nothing to do")

    behavior["note"] = hopeless
    await table.add(note, text="a")

    await table.run()

    row = await table.only()
    assert (row.state, row.attempts) == (JobState.DEAD, 1)


async def test_a_job_that_takes_too_long_is_ended(table: Table) -> None:
    await table.add(hasty)

    await table.run()

    row = await table.only()
    assert (row.state, row.error) == (JobState.DEAD, "TimeoutError: not done within 0:00:00.050000")


async def test_the_job_of_a_process_that_died_runs_again(table: Table) -> None:
    await table.add(note, text="a")
    await table.claim()
    assert await table.run() == 0
    await make_due(table.database)  # the lease has ended

    assert await table.run() == 1
    assert await table.effects() == ["a"]
    assert (await table.only()).attempts == 2


async def test_a_job_that_kills_its_process_each_time_is_dead_in_the_end(table: Table) -> None:
    await table.add(note, text="a")
    for _ in range(4):
        await table.claim()
        await make_due(table.database)

    assert await table.run() == 0
    row = await table.only()
    assert row.state == JobState.DEAD
    assert row.error == "the process that ran it died, or took too long"


async def test_who_was_believed_dead_and_was_only_slow_leaves_nothing(table: Table) -> None:
    await table.add(note, text="a")
    slow = await table.claim()
    await make_due(table.database)
    await table.run()

    await execute(serving(table.database), note, slow)

    assert seen == ["a", "a"]
    assert await table.effects() == ["a"]
    assert (await table.only()).state == JobState.DONE


async def test_many_workers_share_the_work(table: Table) -> None:
    wanted = [f"{number:03}" for number in range(60)]
    async with unit_of_work(table.database) as session:
        for text in wanted:
            await enqueue(session, note, text=text)

    counts = await asyncio.gather(*(table.run() for _ in range(4)))

    assert sum(counts) == 60
    assert await table.effects() == wanted


async def test_processes_that_claim_at_once_share_what_is_due(table: Table) -> None:
    async def claim() -> list[UUID]:
        async with unit_of_work(table.database) as session:
            return [run.id for run in await store.claim(session, JOBS, limit=10)]

    async with unit_of_work(table.database) as session:
        for number in range(40):
            wanted = [secret, urgent][number % 4 == 0]
            await enqueue(session, wanted, text=str(number))

    claimed = [await asyncio.gather(*(claim() for _ in range(3))) for _ in range(2)]

    ids = [run_id for runs in [*claimed[0], *claimed[1]] for run_id in runs]
    assert sorted(ids) == [row.id for row in await table.rows()]


async def test_jobs_of_another_version_of_the_service_are_left_alone(table: Table) -> None:
    await table.add(note, text="a")

    assert await run_due(serving(table.database, jobs={"test.typed": typed})) == 0
    assert (await table.only()).state == JobState.QUEUED


async def test_a_job_for_later_waits(table: Table, queue: InlineQueue) -> None:
    async with unit_of_work(table.database) as session:
        await enqueue_at(session, utc_now() + HOUR, note, text="a")

    assert queue.nudges == []
    assert (await table.only()).nudged_at is None
    assert await table.run() == 0
    await make_due(table.database)
    assert await table.run() == 1


def test_a_job_may_take_a_minute_unless_it_says_otherwise() -> None:
    assert note.time_limit == timedelta(minutes=1)


async def test_a_unique_job_is_there_once(table: Table) -> None:
    ids = await asyncio.gather(*(table.add(unique, text="a") for _ in range(5)))
    other = await table.add(unique, text="b")
    assert len({*ids}) == 1
    assert other not in ids
    async with table.database.reader() as session:
        waiting = select(JobRun).where(JobRun.nudged_at.is_(None))
        assert await session.scalar(waiting) is None, "no other process sends it at once"

    await table.run()
    assert await table.add(unique, text="a") == ids[0]  # done, and the hour is not over
    for _ in range(2):
        async with unit_of_work(table.database) as session:
            await session.execute(update(JobRun).values(unique_until=utc_now() - HOUR))
        again = await table.add(unique, text="a")
        assert again not in ids
        ids.append(again)
        await table.run()
    assert sorted(map(str, seen)) == ["a", "a", "a", "b"]


async def test_a_tick_is_enqueued_once_however_many_see_it(table: Table) -> None:
    assert scheduled.schedule
    tick = scheduled.schedule.latest(utc_now())

    async def see(at: datetime) -> None:
        async with unit_of_work(table.database) as session:
            await enqueue_tick(session, scheduled, at)

    await asyncio.gather(*(see(tick) for _ in range(8)))
    await table.run()
    await see(tick)
    await see(tick + timedelta(minutes=1))

    assert len(await table.rows()) == 2


def test_no_tick_is_missed_by_who_looks_late() -> None:
    now = datetime(2026, 3, 4, 5, 6, 7, 500_000, tzinfo=UTC)

    seconds = [tick.second for tick in recent(every(seconds=1), now)]
    assert seconds == [3, 4, 5, 6, 7]
    assert recent(cron("* * * * *"), now) == [datetime(2026, 3, 4, 5, 6, tzinfo=UTC)]
    just_after = datetime(2026, 3, 4, 5, 6, 2, tzinfo=UTC)
    assert [tick.minute for tick in recent(cron("* * * * *"), just_after)] == [6]
    assert [tick.minute for tick in recent(every(minutes=1), just_after)] == [6]


def test_schedules_say_when() -> None:
    now = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)

    assert cron("30 3 * * *").latest(now) == datetime(2026, 3, 4, 3, 30, tzinfo=UTC)
    assert cron("30 3 * * *").following(now) == datetime(2026, 3, 5, 3, 30, tzinfo=UTC)
    exact = datetime(2026, 3, 4, 3, 30, tzinfo=UTC)
    assert cron("30 3 * * *").latest(exact) == exact
    assert cron("30 3 * * *").following(exact) == exact + timedelta(days=1)
    assert cron("* * * * *").latest(now) == now.replace(second=0)
    assert cron("* * * * *").following(now) == datetime(2026, 3, 4, 5, 7, tzinfo=UTC)
    assert every(minutes=5).latest(now) == datetime(2026, 3, 4, 5, 5, tzinfo=UTC)
    assert every(minutes=5).following(now) == datetime(2026, 3, 4, 5, 10, tzinfo=UTC)


@pytest.mark.parametrize("expression", ["* * * *", "61 * * * *", "0 0 1 * 1", "@daily"])
def test_a_schedule_that_is_wrong_is_refused_where_it_stands(expression: str) -> None:
    with pytest.raises(Exception, match=r"give five fields|Bad|Wrong"):
        cron(expression)


async def test_a_tick_that_cannot_be_enqueued_is_logged_and_tried_again(
    table: Table, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("no")

    ticker = Ticker(serving(table.database, jobs={"test.scheduled": scheduled}))
    with monkeypatch.context() as patch:
        patch.setattr("app.core.jobs.ticker.enqueue_tick", broken)
        await ticker.fire(utc_now())
    assert "'job': 'test.scheduled'" in caplog.text
    assert "'event': 'tick_not_enqueued'" in caplog.text
    assert await table.rows() == []

    await ticker.fire(utc_now())
    assert await table.rows() != []


async def test_the_duration_of_an_attempt_is_measured_and_logged(
    table: Table, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    clock = iter([1000.0, 1000.012345678])
    monkeypatch.setattr("app.core.jobs.runner.perf_counter", lambda: next(clock))
    await table.add(note, text="a")

    await table.run()

    assert "'outcome': 'done', 'duration_ms': 12.35, 'event': 'job'" in caplog.text


async def test_a_job_acts_for_whoever_asked(table: Table) -> None:
    who = Actor(user_id=uuid4(), session_id=uuid4(), address="192.0.2.1")
    tokens = actor.set(who), correlation_id.set("abc")
    await table.add(in_context)
    actor.reset(tokens[0])
    correlation_id.reset(tokens[1])
    await table.add(in_context)
    async with table.database.reader() as session:
        nothing = JobRun.actor.is_(None)
        assert await session.scalar(select(func.count()).where(nothing)) == 1

    await table.run()

    assert seen == [("abc", who), (None, ANONYMOUS)]


async def test_secret_arguments_can_be_read_after_the_key_was_rotated(table: Table) -> None:
    old = SecretStr("an old key, current when the job was enqueued")
    new = SecretStr("a new key, unknown when the job was enqueued")

    def holding(**keys: SecretStr) -> tuple[Table, Settings]:
        settings = table.settings.model_copy(update=keys)
        engine: AsyncEngine = table.database.writer.kw["bind"]
        return Table(database_of(engine, settings), settings), settings

    before, _ = holding(secret_key=old)
    await before.add(secret, text="hidden")
    assert "hidden" not in str((await table.only()).arguments)

    stranger, settings = holding(secret_key=new)
    await stranger.run(settings)
    row = await table.only()
    assert (row.state, seen) == (JobState.DEAD, [])
    assert row.error
    assert "PREVIOUS_SECRET_KEY" in row.error

    async with unit_of_work(table.database) as session:
        values = {"state": JobState.QUEUED, "due_at": utc_now(), "attempts": 0}
        await session.execute(update(JobRun).values(values))
    rotated, settings = holding(secret_key=new, previous_secret_key=old)
    await rotated.run(settings)
    assert seen == ["hidden"]
    assert (await table.only()).arguments == {}


def test_secret_arguments_that_an_earlier_version_has_stored_can_be_read() -> None:
    """What turns the key into that of the cipher stays the same."""
    stored = {
        "sealed": "gAAAAABrCNdebK5D-xGNbQxXA9QZk6sYo_duJUhHXbuVFSx4ve5_1UXzM-k3Tl7b10friRFj8ifH2xaJ6p9PzXpFQrWhvTPAdSCRBdMcpEOF7bJmpRYXIgo="
    }

    assert unseal(["a key"], stored) == {"text": "hidden"}


async def test_arguments_of_another_shape_are_named_as_the_reason(table: Table) -> None:
    await table.add(note, text="a")
    async with unit_of_work(table.database) as session:
        await session.execute(update(JobRun).values(arguments={"text": 1}))

    await table.run()

    reason = "the arguments do not fit this version of the job"
    assert (await table.only()).error == f"UnreadableArguments: {reason}"


async def test_a_secret_job_of_a_process_with_another_key_may_run_there(
    table: Table, never_at_once: None
) -> None:
    """While a new key is rolled out, some processes have it and others do not."""
    settings = table.settings.model_copy(update={"secret_key": SecretStr("another" * 9)})
    other = Table(database_of(table.database.writer.kw["bind"], settings), settings)
    async with unit_of_work(other.database) as session:
        await enqueue(session, patient_secret, text="hidden")

    await table.run()
    assert (await table.only()).state == JobState.QUEUED
    await make_due(table.database)
    await other.run(settings)
    assert seen == ["hidden"]


async def test_arguments_that_a_newer_version_has_added_are_left_out(table: Table) -> None:
    await table.add(note, text="a")
    async with unit_of_work(table.database) as session:
        await session.execute(update(JobRun).values(arguments={"text": "a", "more": 1}))
    await table.run()
    assert seen == ["a"]

    await table.add(note, text="b")
    async with unit_of_work(table.database) as session:
        waiting = update(JobRun).where(JobRun.state == JobState.QUEUED)
        await session.execute(waiting.values(arguments={}))
    await table.run()
    assert [row.state for row in await table.rows()] == [JobState.DONE, JobState.QUEUED]


async def test_nothing_of_a_secret_job_is_logged_when_its_ending_cannot_be_written(
    table: Table, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def tell() -> None:
        raise RuntimeError("ada@example.com")

    async def broken(*_: object, **__: object) -> bool:
        raise OSError("the disk is full")

    behavior["secret"] = tell
    await table.add(secret, text="hidden")
    monkeypatch.setattr(store, "settle", broken)

    await table.run()

    assert "'error': 'OSError', 'event': 'job_ending_not_written'" in caplog.text
    assert f"'job_id': '{(await table.only()).id}'" in caplog.text
    assert "ada@" not in caplog.text


async def test_whatever_an_error_says_can_be_stored(table: Table) -> None:
    async def odd() -> None:
        raise ValueError("bad \0 byte, bad \ud800 character" + "x" * 2000)

    behavior["note"] = odd
    await table.add(note, text="a")

    await table.run()

    error = (await table.only()).error
    assert error
    assert error.startswith("ValueError: bad \\0 byte, bad \\ud800 character")


async def test_a_job_that_finds_no_connection_has_not_been_tried(
    table: Table, settings: Settings
) -> None:
    await table.add(note, text="a")
    run = await table.claim()
    starved = replace(table.database, slots=Slots(0, 0.01))

    await execute(serving(starved), note, run)
    assert (await table.only()).state == JobState.RUNNING  # until the lease ends

    class OneTurn(Slots):
        async def enter(self) -> None:
            if self.refused:
                return await super().enter()
            self.refused = True
            raise DatabaseUnavailable

        refused = False

    await make_due(table.database)
    run = await table.claim()
    await execute(serving(replace(table.database, slots=OneTurn(5, 1.0))), note, run)
    row = await table.only()
    assert (row.state, row.attempts) == (JobState.QUEUED, 1)


async def test_a_tick_whose_job_died_is_over(table: Table) -> None:
    async def hopeless() -> None:
        raise GiveUp("there is nothing to do")

    behavior["scheduled"] = hopeless
    for _ in range(3):
        await Ticker(serving(table.database, jobs={"test.scheduled": scheduled})).fire(utc_now())
        await table.run()

    states = [row.state for row in await table.rows()]
    assert len(states) <= 2  # a new minute may have started meanwhile
    assert set(states) == {JobState.DEAD}


async def test_what_goes_wrong_in_a_secret_job_is_not_written_down(
    table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    async def tell() -> None:
        raise RuntimeError("ada@example.com")

    behavior["secret"] = tell
    await table.add(secret, text="hidden")

    await table.run()

    assert (await table.only()).error == "RuntimeError"
    assert "job_failed" in caplog.text
    assert "ada@" not in caplog.text


@dataclass
class Local:
    """The service's own queue, over the table."""

    queue: LocalQueue
    database: Database

    def working(self) -> AbstractAsyncContextManager[None]:
        # No schedule of the service fires in a test that counts rows.
        return self.queue.working(serving(self.database, jobs={}))

    async def add(self, wanted: Job[...], **arguments: object) -> None:
        async with unit_of_work(self.database) as session:
            await enqueue(session, wanted, **arguments)


@pytest.fixture
def local(table: Table, engine: AsyncEngine) -> Local:
    """Constructed as the service does; it never polls within a test."""
    settings = table.settings.model_copy(
        update={"job_poll_seconds": 60, "shutdown_timeout": 5, "job_concurrency": 2}
    )
    named = ("test.note", "test.secret", "test.urgent", "jobs.purge")
    queue = LocalQueue(settings, {name: ALL_JOBS[name] for name in named})
    return Local(queue, database_of(engine, settings, queue))


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110, another process may have changed the table
            await asyncio.sleep(0.01)


async def test_the_service_runs_jobs_as_soon_as_they_are_committed(
    table: Table, local: Local
) -> None:
    async def both_done() -> bool:
        return [row.state for row in await table.rows()] == [JobState.DONE] * 2

    async with local.working():
        await local.add(note, text="a")
        await local.add(note, text="b")
        await until(both_done)

    assert await table.effects() == ["a", "b"]


async def test_the_service_enqueues_what_is_scheduled(table: Table, local: Local) -> None:
    async def enqueued() -> bool:
        return {row.name for row in await table.rows()} == {scheduled.name}

    service = serving(local.database, jobs={scheduled.name: scheduled})
    async with local.queue.working(service):
        await until(enqueued)


async def test_at_most_so_many_run_at_once(table: Table, local: Local) -> None:
    running, most = 0, 0

    async def count() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1

    behavior["secret"] = count
    for number in range(6):
        await local.add(secret, text=str(number))

    async def all_done() -> bool:
        return len(seen) == 6

    async with local.working():
        await until(all_done)

    assert most == 2


@pytest.mark.parametrize("slots", [1, 2, 4])
async def test_no_queue_waits_for_the_backlog_of_another(
    table: Table, local: Local, slots: int
) -> None:
    local.queue.settings.job_concurrency = slots
    for number in range(30):
        await table.add(secret, text=str(number))
    await table.add(urgent, text="urgent")

    async def all_done() -> bool:
        return len(seen) == 31

    async with local.working():
        await until(all_done)

    assert seen.index("urgent") <= slots


def test_a_queue_that_has_ended_its_jobs_is_served_before_one_that_has_not() -> None:
    shares = Shares()
    for _ in range(3):
        shares.begin("quick")
        shares.end("quick")
    shares.begin("slow")

    assert shares.next(["quick", "slow"]) == "quick"


async def test_queues_share_the_slots_while_each_has_work(table: Table, local: Local) -> None:
    local.queue.settings.job_concurrency = 4
    running, begun = Counter[str](), Counter[str]()
    most = Counter[str]()

    def counting(name: str, other: str) -> Callable[[], Awaitable[None]]:
        async def count() -> None:
            running[name] += 1
            begun[name] += 1
            if begun[other] < 12:  # else it may have no work left
                most[name] = max(most[name], running[name])
            await asyncio.sleep(0.02)
            running[name] -= 1

        return count

    behavior.update(secret=counting("secret", "urgent"), urgent=counting("urgent", "secret"))
    for wanted in (secret, urgent):
        for number in range(16):
            await table.add(wanted, text=str(number))

    async def all_done() -> bool:
        return len(seen) == 32

    async with local.working():
        await until(all_done)

    assert most == {"secret": 2, "urgent": 2}


async def test_a_purge_goes_on_while_other_jobs_wait(
    table: Table, local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A purge of many batches re-enqueues itself, so other due jobs are never older."""
    monkeypatch.setattr(purge, "BATCH", 1)
    local.queue.settings.job_concurrency = 1
    async with unit_of_work(table.database) as session:
        for _ in range(3):
            long_ago = {"state": JobState.DONE, "finished_at": utc_now() - timedelta(days=400)}
            session.add(JobRun(name="test.old", queue="default", arguments={}, **long_ago))
    await table.add(purge_jobs)
    for number in range(20):
        await table.add(secret, text=str(number))
    left: list[int] = []

    async def count() -> None:
        left.append(sum(row.name == "test.old" for row in await table.rows()))

    behavior["secret"] = count

    async def all_done() -> bool:
        return len(seen) == 20

    async with local.working():
        await until(all_done)

    assert left[4] == 0


async def test_a_job_under_way_is_finished_before_the_end(table: Table, local: Local) -> None:
    begun = asyncio.Event()

    async def slow() -> None:
        begun.set()
        await asyncio.sleep(0.2)

    behavior["secret"] = slow
    async with local.working():
        await local.add(secret, text="a")
        await begun.wait()

    assert (await table.only()).state == JobState.DONE


async def test_a_job_that_ignores_a_cancellation_gets_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local_module, "PATIENCE", 0.01)
    ignored = 0

    async def stubborn() -> None:
        nonlocal ignored
        for _ in range(2):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(1)
            ignored += 1
        await asyncio.sleep(1)

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await local_module.cancel([task])

    assert (task.cancelled(), ignored) == (True, 2)


async def test_a_job_that_does_not_end_in_time_is_given_back(table: Table, local: Local) -> None:
    begun = asyncio.Event()

    async def endless() -> None:
        begun.set()
        await asyncio.sleep(30)

    behavior["secret"] = endless
    local.queue.settings.shutdown_timeout = 0
    async with local.working():
        await local.add(secret, text="a")
        await begun.wait()

    row = await table.only()
    assert (row.state, row.attempts) == (JobState.QUEUED, 0)
    behavior.clear()
    assert await table.run() == 1
    assert seen == ["a"]
