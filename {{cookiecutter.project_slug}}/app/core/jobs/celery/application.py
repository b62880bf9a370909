"""The Celery application of the web service, the workers and beat."""

from datetime import timedelta
from typing import Any

from celery import Celery
from kombu import Exchange, Queue

from app.core.jobs import Jobs
from app.core.jobs.celery.settings import CelerySettings

CONNECT_SECONDS = 2
ANSWER_SECONDS = 3
HARD = timedelta(seconds=5)
"""Beyond a job's limit, which its event loop enforces: a job that blocks is terminated with its process."""
REDIS = ("redis", "rediss", "sentinel")
RELAY = "jobs.relay"
RELAY_SECONDS = 1.0


def queue_name(ours: CelerySettings, queue: str) -> str:
    """The queue's name on a broker that several services may share."""
    return f"{ours.prefix}.{queue}"


def make_celery(ours: CelerySettings, jobs: Jobs, *, patient: bool = True) -> Celery:
    """The application: delivery at least once, one message at a time per process, results in the table.

    Workers are patient with the broker; publishers are not.
    """
    names = sorted({"relay", *(job.queue for job in jobs.values())})
    celery = Celery(ours.prefix, broker=ours.broker)
    celery.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        task_queues=[make_queue(queue_name(ours, name)) for name in names],
        task_default_queue=queue_name(ours, "relay"),
        task_create_missing_queues=False,
        task_routes={job.name: {"queue": queue_name(ours, job.queue)} for job in jobs.values()},
        control_exchange=f"{ours.prefix}.control",
        event_exchange=f"{ours.prefix}.events",
        event_queue_prefix=f"{ours.prefix}.events",
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=CONNECT_SECONDS,
        broker_transport_options=transport_options(ours, jobs, patient=patient),
        worker_hijack_root_logger=False,
        worker_send_task_events=True,
        task_send_sent_event=True,
        timezone="UTC",
        result_expires=None,
        # Beat keeps no state: what is due, and what has been sent, is in the table.
        beat_scheduler="celery.beat:Scheduler",
        beat_schedule={
            RELAY: {"task": RELAY, "schedule": RELAY_SECONDS, "options": {"expires": 5}}
        },
        beat_max_loop_interval=RELAY_SECONDS,
    )
    return celery


def make_queue(name: str) -> Queue:
    """A queue with its own exchange, or it would receive the messages of the others too."""
    return Queue(name, Exchange(name), routing_key=name)


def transport_options(ours: CelerySettings, jobs: Jobs, *, patient: bool) -> dict[str, Any]:
    """On Redis a message is redelivered once it is unacknowledged for longer than any job takes."""
    if not is_redis(ours):
        limits = (
            {} if patient else {"read_timeout": ANSWER_SECONDS, "write_timeout": ANSWER_SECONDS}
        )
        return {"confirm_publish": True} | limits
    longest = max(job.time_limit for job in jobs.values()) + HARD
    return {
        "visibility_timeout": longest.total_seconds() + 60,
        "global_keyprefix": f"{ours.prefix}:",
        "socket_connect_timeout": CONNECT_SECONDS,
    } | ({} if patient else {"socket_timeout": ANSWER_SECONDS})


def is_redis(ours: CelerySettings) -> bool:
    """Whether Redis is the broker."""
    return ours.broker.startswith(REDIS)
