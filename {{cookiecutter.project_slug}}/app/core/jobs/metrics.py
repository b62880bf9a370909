"""Prometheus metrics of jobs."""

from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import utc_now
from app.core.jobs import store
from app.core.service import service_of

SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800)

RUNS = Counter("job_runs", "Attempts to run a job, by outcome", ["job", "outcome"])
DURATION = Histogram("job_duration_seconds", "Duration of an attempt", ["job"], buckets=SECONDS)
WAITING = Gauge(
    "jobs_waiting", "Jobs that are due and not done", ["queue"], multiprocess_mode="mostrecent"
)
AGE = Gauge(
    "jobs_oldest_waiting_seconds",
    "How long the oldest waiting job has been due",
    ["queue"],
    multiprocess_mode="mostrecent",
)
DEAD = Gauge("jobs_dead", "Jobs that failed permanently", ["queue"], multiprocess_mode="mostrecent")


# Queues that are reported even when empty; one set per process, like the registry.
known: set[str] = set()


def observe(job: str, outcome: str, seconds: float) -> None:
    """Count an attempt."""
    RUNS.labels(job, outcome).inc()
    DURATION.labels(job).observe(seconds)


async def measure_queues(session: AsyncSession) -> None:
    """Measure the waiting and the dead jobs of each queue."""
    now = utc_now()
    waiting = {queue: (count, since) for queue, count, since in await store.waiting(session)}
    dead = {row[0]: row[1] for row in await store.dead(session)}
    known.update(waiting, dead, (job.queue for job in service_of(session).jobs.values()))
    for queue in known:
        count, since = waiting.get(queue, (0, now))
        WAITING.labels(queue).set(count)
        AGE.labels(queue).set(max(0.0, (now - (since or now)).total_seconds()))
        DEAD.labels(queue).set(dead.get(queue, 0))
