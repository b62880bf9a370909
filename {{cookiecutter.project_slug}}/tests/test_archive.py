"""What is purged is in the archive first, exactly as it was; or it is not purged."""

import asyncio
import gzip
import json
import os
import resource
import stat
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from app.core import archive
from app.core.archive import Folder, NotArchived
from app.core.db.base import Base, utc_now
from app.core.db.session import Database, reading, unit_of_work
from app.core.jobs import Job, purge
from app.core.jobs.models import JobRun, JobState
from app.core.jobs.outbox import enqueue
from app.core.jobs.runner import run_due
from app.core.jobs.sealing import seal
from app.core.service import Service
from app.core.settings import Settings
from app.features.audit.jobs import purge_events
from app.features.audit.models import AuditEvent
from app.features.jobs import service as jobs
from app.features.jobs.jobs import purge_jobs
from tests.archiving import STEPS
from tests.crashes import killed
from tests.inline import make_due, serving

Row = dict[str, Any]
OLD, KEPT = ("old", "older", "oldest"), ("kept", "new")
AGES = {"old": 366, "older": 1000, "oldest": 5000, "kept": 364, "new": 0}
ODD: Row = {"text": 'ü €\n\u2028 "quoted" \\ 🙂', "none": None, "list": [1, 2.5, True, {"a": ""}]}
JOBS: dict[str, Job[...]] = {each.name: each for each in (purge_events, purge_jobs)}


@dataclass
class Purging:
    """A service with an archive, and events and jobs of many ages."""

    database: Database
    service: Service
    folder: Path

    async def purge(self, *wanted: Job[[]]) -> None:
        """Run these jobs, and what they enqueue."""
        async with unit_of_work(self.database) as session:
            for each in wanted:
                await enqueue(session, each)
        await run_due(self.service)

    async def rows(self, model: type[Base]) -> dict[str, Row]:
        """All rows of a table."""
        statement = select(*(getattr(model, each.key) for each in model.__mapper__.column_attrs))
        async with reading(self.database) as session:
            rows = (await session.execute(statement)).mappings().all()
        return {str(row["id"]): dict(row) for row in rows}

    async def events(self) -> set[str]:
        """The events that are left."""
        rows = await self.rows(AuditEvent)
        return {row["action"] for row in rows.values() if row["object_type"] == "test"}

    async def outcome(self, job: Job[[]]) -> tuple[str, str]:
        """State and error of the only run of a job, which may have been retried at once."""
        rows = (await self.rows(JobRun)).values()
        (run,) = [row for row in rows if row["name"] == job.name]
        return run["state"], run["error"] or ""

    def files(self, pattern: str = "*/*/*") -> Sequence[Path]:
        """The files in the archive, also hidden ones."""
        return files_in(self.folder, pattern)

    def archived(self, model: type[Base]) -> list[Row]:
        """The rows of a table that are in the archive."""
        files = self.files(f"{model.__tablename__}/*/[!.]*.jsonl.gz")
        lines = [line for each in files for line in gzip.decompress(each.read_bytes()).splitlines()]
        return [parsed(json.loads(line)) for line in lines]


def files_in(folder: Path, pattern: str = "*/*/*") -> list[Path]:
    """What is in an archive, also hidden files."""
    return sorted(folder.glob(pattern))


def parsed(row: Row) -> Row:
    """A line of the archive, with values as the database has them."""
    kinds: dict[str, Callable[[str], object]] = {
        "id": UUID,
        "_at": datetime.fromisoformat,
        "_id": UUID,
        "until": datetime.fromisoformat,
        "claim": UUID,
    }
    for name, value in row.items():
        kind = next((kinds[end] for end in kinds if name.endswith(end)), None)
        if kind and value is not None and name != "correlation_id":
            row[name] = kind(value)
    return row


@pytest.fixture
async def purging(committed_db: Database, settings: Settings, tmp_path: Path) -> Purging:
    """The service, with events of many ages; a batch is of two rows."""
    folder = tmp_path / "archive"
    folder.mkdir()
    configured = settings.model_copy(update={"archive_dir": folder})
    async with unit_of_work(committed_db) as session:
        for action, days in AGES.items():
            created_at = utc_now() - timedelta(days=days)
            session.add(
                AuditEvent(action=action, object_type="test", after=ODD, created_at=created_at)
            )
    return Purging(committed_db, serving(committed_db, settings=configured, jobs=JOBS), folder)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "BATCH", 2)


async def assert_nothing_was_lost(purging: Purging) -> None:
    """Each event is in the table or in the archive."""
    kept = await purging.events()
    assert kept | {row["action"] for row in purging.archived(AuditEvent)} == AGES.keys()
    assert kept >= set(KEPT)


async def test_old_events_are_in_the_archive_exactly_and_gone_from_the_table(
    purging: Purging, small_batches: None
) -> None:
    before = await purging.rows(AuditEvent)

    await purging.purge(purge_events)

    assert await purging.events() == set(KEPT)
    archived = purging.archived(AuditEvent)
    assert {str(row["id"]): row for row in archived} == {
        key: row for key, row in before.items() if row["action"] in OLD
    }
    assert len(archived) == 3
    assert len(purging.files()) == 2


async def test_jobs_are_archived_with_their_arguments_as_they_are_stored(
    purging: Purging, settings: Settings, small_batches: None
) -> None:
    long_ago = utc_now() - timedelta(days=91)
    sealed = seal(purging.service.keys, {"password": "hunter2"})
    async with unit_of_work(purging.database) as session:
        for state, finished_at, arguments in [
            (JobState.DONE, long_ago, {"n": 1}),
            (JobState.DEAD, long_ago, sealed),
            (JobState.DEAD, utc_now(), {}),
            (JobState.QUEUED, None, {}),
        ]:
            row = {"state": state, "finished_at": finished_at, "arguments": arguments}
            session.add(JobRun(name="test", queue="default", attempts=1, **row))
    before = await purging.rows(JobRun)

    await purging.purge(purge_jobs)

    left = {key for key, row in (await purging.rows(JobRun)).items() if row["name"] == "test"}
    assert len(left) == 2
    assert {str(row["id"]): row for row in purging.archived(JobRun)} == {
        key: row for key, row in before.items() if key not in left
    }
    assert sealed in [row["arguments"] for row in purging.archived(JobRun)]
    assert b"hunter2" not in b"".join(gzip.decompress(f.read_bytes()) for f in purging.files())


async def test_without_a_folder_rows_are_deleted_without_a_copy(purging: Purging) -> None:
    off = purging.service.settings.model_copy(update={"archive_dir": None})

    await replace(purging, service=replace(purging.service, settings=off)).purge(purge_events)

    assert await purging.events() == set(KEPT)
    assert purging.files("*") == []


def remove(folder: Path) -> None:
    folder.rmdir()


def put_a_file_in_its_place(folder: Path) -> None:
    folder.rmdir()
    folder.touch()


def put_a_file_in_a_table_s_place(folder: Path) -> None:
    (folder / "audit_events").touch()


@pytest.mark.parametrize("spoil", [remove, put_a_file_in_its_place, put_a_file_in_a_table_s_place])
async def test_a_folder_that_cannot_be_written_to_loses_nothing_and_the_job_is_tried_again(
    purging: Purging, spoil: Callable[[Path], None]
) -> None:
    spoil(purging.folder)

    await purging.purge(purge_events)

    assert await purging.events() == AGES.keys()
    state, error = await purging.outcome(purge_events)
    assert state == "queued"
    assert "3 rows of audit_events were not archived, and none was deleted" in error
    assert "ARCHIVE_DIR" in error

    for path in (purging.folder / "audit_events", purging.folder):
        if path.is_file():
            path.unlink()
    purging.folder.mkdir(exist_ok=True)
    await make_due(purging.database)
    await run_due(purging.service)

    assert await purging.events() == set(KEPT)
    assert len(purging.archived(AuditEvent)) == 3
    assert await purging.outcome(purge_events) == ("done", "")


def flip_a_bit(content: bytes) -> bytes:
    return content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def lose_a_line(content: bytes) -> bytes:
    return gzip.compress(b"\n".join(gzip.decompress(content).splitlines()[:-1]) + b"\n")


def change_a_word(content: bytes) -> bytes:
    return gzip.compress(gzip.decompress(content).replace(b"oldest", b"latest"))


def lose_all(content: bytes) -> bytes:
    return content[:0]


@pytest.mark.parametrize("spoil", [flip_a_bit, cut, lose_a_line, change_a_word, lose_all])
async def test_a_file_that_reads_back_differently_deletes_nothing(
    purging: Purging, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[bytes], bytes]
) -> None:
    write = archive.write

    def write_wrongly(path: Path, content: bytes) -> None:
        write(path, spoil(content))

    monkeypatch.setattr(archive, "write", write_wrongly)

    await purging.purge(purge_events)

    assert await purging.events() == AGES.keys()
    assert purging.files() == []
    state, error = await purging.outcome(purge_events)
    assert state == "queued"
    assert "none was deleted" in error


@contextmanager
def limited(size: int) -> Generator[None]:
    """Files of this process may not be larger, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_leaves_no_part_of_a_file(tmp_path: Path) -> None:
    rows = [{"noise": os.urandom(1000).hex()} for _ in range(100)]
    holding = Folder(tmp_path).holding("things", rows)

    with limited(10_000), pytest.raises(NotArchived, match="100 rows of things"):
        await holding.__aenter__()

    assert files_in(tmp_path) == []


async def test_rows_that_could_not_be_deleted_are_not_kept_again_with_each_attempt(
    tmp_path: Path,
) -> None:
    with pytest.raises(RuntimeError, match="refused"):
        async with Folder(tmp_path).holding("things", [{"id": 1}]):
            assert len(files_in(tmp_path, "things/*/*.jsonl.gz")) == 1
            raise RuntimeError("refused")

    assert files_in(tmp_path) == []


async def test_other_users_cannot_read_the_archive(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        async with Folder(tmp_path).holding("things", [{"id": 1}]):
            pass
    finally:
        os.umask(mask)

    folders = [*files_in(tmp_path, "*"), *files_in(tmp_path, "*/*")]
    modes = [stat.S_IMODE(each.stat().st_mode) for each in [*folders, *files_in(tmp_path)]]
    assert modes == [0o700, 0o700, 0o600]


async def test_requests_are_served_while_a_slow_disk_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, turns = archive.write, 0

    def slowly(path: Path, content: bytes) -> None:
        time.sleep(0.5)
        write(path, content)

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    monkeypatch.setattr(archive, "write", slowly)
    turning = asyncio.create_task(turn())
    async with Folder(tmp_path).holding("things", [{"id": 1}]):
        turning.cancel()

    assert turns > 10


async def test_two_purges_at_once_lose_nothing(purging: Purging, small_batches: None) -> None:
    async with unit_of_work(purging.database) as session:
        for _ in range(2):
            await enqueue(session, purge_events)

    await asyncio.gather(*(run_due(purging.service) for _ in range(2)))
    await make_due(purging.database)
    await run_due(purging.service)

    assert await purging.events() == set(KEPT)
    assert {row["action"] for row in purging.archived(AuditEvent)} == set(OLD)


async def test_a_job_that_is_retried_meanwhile_is_neither_archived_nor_deleted(
    purging: Purging,
) -> None:
    long_ago = utc_now() - timedelta(days=91)
    run = JobRun(name="test", queue="default", state=JobState.DEAD, arguments={})
    async with unit_of_work(purging.database) as session:
        run.finished_at = long_ago
        session.add(run)
        await enqueue(session, purge_jobs)

    async with unit_of_work(purging.database) as session:
        await jobs.retry(session, run.id)
        purged = asyncio.create_task(run_due(purging.service))
        done, _ = await asyncio.wait({purged}, timeout=0.3)
        assert not done
    await purged

    assert (await purging.rows(JobRun))[str(run.id)]["state"] == "queued"
    assert purging.archived(JobRun) == []


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("step", STEPS)
async def test_a_killed_purge_loses_no_row(
    purging: Purging, settings: Settings, project_root: Path, step: str
) -> None:
    assert settings.database_url
    assert settings.secret_key
    async with unit_of_work(purging.database) as session:
        await enqueue(session, purge_events)
    given = {
        "step": step,
        "database": settings.database_url.render_as_string(hide_password=False),
        "secret": settings.secret_key.get_secret_value(),
        "folder": str(purging.folder),
    }
    await asyncio.to_thread(killed, "tests.archiving", given, project_root)

    await assert_nothing_was_lost(purging)
    gone = step == "committed"
    assert await purging.events() == (set(KEPT) if gone else AGES.keys())
    stored = step in {"renamed", "stored", "deleted", "committed"}
    assert len(purging.archived(AuditEvent)) == (3 if stored else 0)

    async with unit_of_work(purging.database) as session:
        await session.execute(update(JobRun).values(due_at=utc_now() - timedelta(seconds=1)))
    await run_due(purging.service)

    assert await purging.events() == set(KEPT)
    archived = purging.archived(AuditEvent)
    assert {row["action"] for row in archived} == set(OLD)
    assert len(archived) == (6 if stored and not gone else 3)
