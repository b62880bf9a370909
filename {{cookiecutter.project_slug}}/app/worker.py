"""The worker, `celery -A app.worker worker`, and its scheduler, `celery -A app.worker beat`."""

import logging
from functools import partial
from math import ceil

from celery import signals
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

from app.core import configuration, logging as app_logging
from app.core.jobs import Job
from app.core.jobs.celery import CeleryQueue
from app.core.jobs.celery.application import HARD, RELAY, make_celery
from app.core.jobs.celery.process import Process
from app.core.settings import Settings
from app.installed import JOBS, SETTINGS
from app.service import configured_for, running

CONNECTIONS = 2
"""Per process, which runs one task at a time."""

configuration.check(SETTINGS)
settings = Settings().model_copy(update={"database_pool_size": CONNECTIONS})
configured = configured_for()
queue = CeleryQueue(settings, JOBS, configured)
celery = make_celery(queue.ours, JOBS)
process = Process(queue, partial(running, settings, work=True, configured=configured, queue=queue))


def add_task(job: Job[...]) -> None:
    """Register a job as an ordinary Celery task, which takes the id of its row."""
    limit = job.time_limit

    @celery.task(
        name=job.name,
        time_limit=ceil((limit + HARD).total_seconds()),
    )
    def perform(run_id: str) -> None:
        process.perform(run_id)


for each in JOBS.values():
    add_task(each)


@celery.task(name=RELAY, time_limit=60)
def relay() -> None:
    """Enqueue scheduled jobs, and send messages for rows that have none."""
    process.relay()


def configure_log(**_: object) -> None:
    """Log as the web service does; our line for each job says more than Celery's own."""
    app_logging.configure(settings)
    for name in ("celery.worker.strategy", "celery.app.trace", "celery.beat"):
        logging.getLogger(name).setLevel(logging.WARNING)


def serve_metrics(**_: object) -> None:
    """Serve the metrics of this worker's processes to Prometheus, if a port is set."""
    ours = queue.ours
    if not ours.metrics_port:
        return
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    start_http_server(ours.metrics_port, ours.metrics_host, registry)


def show_life(**_: object) -> None:
    """Touch the heartbeat file, whose age a health check reads, if one is set."""
    if file := queue.ours.heartbeat_file:
        file.touch()


def close(**_: object) -> None:
    """Close the service before the process exits."""
    process.close()


signals.setup_logging.connect(configure_log)
signals.worker_ready.connect(serve_metrics)
signals.worker_process_shutdown.connect(close)
# A worker sends heartbeats while it is connected to the broker; beat is alive while it publishes.
signals.heartbeat_sent.connect(show_life)
signals.after_task_publish.connect(show_life, sender=RELAY)
