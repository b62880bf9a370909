"""What the metrics say about the job table."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from httpx2 import AsyncClient
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.values import (
    MultiProcessValue,  # pyright: ignore[reportUnknownVariableType]
)
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import utc_now
from app.core.jobs import metrics
from app.core.jobs.models import JobRun, JobState

GAUGES = ("jobs_waiting", "jobs_oldest_waiting_seconds", "jobs_dead")


async def figures(client: AsyncClient) -> Mapping[tuple[str, str], float]:
    """Each gauge of the job table, by its name and queue."""
    text = (await client.get("/metrics")).text
    return {
        (sample.name, sample.labels["queue"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if family.name in GAUGES
    }


async def test_what_waits_and_what_is_dead_is_counted_for_each_queue(
    client: AsyncClient, session: AsyncSession
) -> None:
    now = utc_now()
    rows = [
        ("slow", JobState.QUEUED, now - timedelta(minutes=3), None),
        ("slow", JobState.RUNNING, now - timedelta(minutes=1), None),
        ("slow", JobState.QUEUED, now + timedelta(minutes=1), None),
        ("slow", JobState.DONE, None, now),
        ("broken", JobState.DEAD, None, now),
    ]
    for queue, state, due_at, finished_at in rows:
        run = JobRun(name="test.counted", queue=queue, state=state, arguments={})
        run.due_at, run.finished_at = due_at, finished_at
        session.add(run)
    await session.flush()

    found = await figures(client)

    assert [found["jobs_waiting", queue] for queue in ("slow", "broken", "mail")] == [2, 0, 0]
    assert [found["jobs_dead", queue] for queue in ("slow", "broken", "mail")] == [0, 1, 0]
    assert 180 <= found["jobs_oldest_waiting_seconds", "slow"] < 300
    assert found["jobs_oldest_waiting_seconds", "broken"] == 0


def test_of_several_processes_the_latest_measurement_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for process, value in (("1", 3), ("2", 2)):
        for gauge in (metrics.WAITING, metrics.AGE, metrics.DEAD):
            with monkeypatch.context() as patch:
                patch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
                written = MultiProcessValue(lambda process=process: process)
                patch.setattr("prometheus_client.values.ValueClass", written)
                gauge.labels("of several").set(value)
            gauge.remove("of several")

    together = CollectorRegistry()
    MultiProcessCollector(together, str(tmp_path))

    for name in GAUGES:
        assert together.get_sample_value(name, {"queue": "of several"}) == 2
