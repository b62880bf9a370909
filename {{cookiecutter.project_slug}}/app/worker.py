"""The worker: `celery -A app.worker worker`; its pulse: `celery -A app.worker beat`."""

import logging
from math import ceil

from celery import signals
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

from app.core import configuration, events, logging as app_logging
from app.core.jobs import Job
from app.core.jobs.celery.application import HARD, RELAY, make_celery
from app.core.jobs.celery.process import Process
from app.core.jobs.celery.settings import get_celery_settings
from app.core.settings import get_settings
from app.installed import FEATURES, JOBS, SETTINGS
from app.main import session_info

configuration.check(SETTINGS)
settings = get_settings()
celery = make_celery(JOBS)
process = Process(settings, JOBS, session_info)
events.install(listener for feature in FEATURES for listener in feature.listeners)


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
    ours = get_celery_settings()
    if not ours.metrics_port:
        return
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    start_http_server(ours.metrics_port, ours.metrics_host, registry)


def show_life(**_: object) -> None:
    """Touch the file whose age a health check looks at, when one is set."""
    if file := get_celery_settings().heartbeat_file:
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
