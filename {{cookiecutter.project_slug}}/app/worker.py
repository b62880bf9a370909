"""The worker: `celery -A app.worker worker`; its pulse: `celery -A app.worker beat`."""

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
from app.service import running

CONNECTIONS = 2
"""Of each process, which does one thing at a time."""

configuration.check(SETTINGS)
settings = Settings().model_copy(update={"database_pool_size": CONNECTIONS})
queue = CeleryQueue(settings, JOBS)
celery = make_celery(queue.ours, JOBS)
process = Process(queue, partial(running, settings, work=True, queue=queue))


def add_task(job: Job[...]) -> None:
    """A job as an ordinary Celery task, which takes the id of its row."""
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
    """Look at the clock, and for rows that no message tells of."""
    process.relay()


def configure_log(**_: object) -> None:
    """The same lines as the web service's; ours about each job says more than Celery's own."""
    app_logging.configure(settings)
    for name in ("celery.worker.strategy", "celery.app.trace", "celery.beat"):
        logging.getLogger(name).setLevel(logging.WARNING)


def serve_metrics(**_: object) -> None:
    """What this worker's processes have counted, for Prometheus, when a port is set."""
    ours = queue.ours
    if not ours.metrics_port:
        return
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    start_http_server(ours.metrics_port, ours.metrics_host, registry)


def show_life(**_: object) -> None:
    """Touch the file whose age a health check looks at, when one is set."""
    if file := queue.ours.heartbeat_file:
        file.touch()


def close(**_: object) -> None:
    """The process ends."""
    process.close()


signals.setup_logging.connect(configure_log)
signals.worker_ready.connect(serve_metrics)
signals.worker_process_shutdown.connect(close)
# A worker's heart beats while it is connected to the broker; beat's, when the broker has its pulse.
signals.heartbeat_sent.connect(show_life)
signals.after_task_publish.connect(show_life, sender=RELAY)
