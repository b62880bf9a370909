"""Collecting the metrics of this process and its siblings."""

import asyncio
import os
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from app.core.db.session import Database, probe
from app.core.errors import NotFound, Unauthorized, Unavailable
from app.core.jobs.metrics import measure_queues
from app.core.service import Service
from app.features.metrics.process import forget_dead, measure
from app.features.metrics.requests import Requests
from app.features.metrics.settings import MetricsSettings

disable_created_metrics()  # a time series more for each counter and histogram; several processes have none

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class MetricsOff(NotFound):
    """In staging and production, metrics are exposed only if a token is set."""

    def __init__(self) -> None:
        super().__init__(
            "Metrics are off. Set METRICS_TOKEN, and present it as a bearer token; METRICS_ENABLED=false keeps them off."
        )


class WrongToken(Unauthorized):
    """The caller did not present the token."""

    def __init__(self) -> None:
        super().__init__("Present METRICS_TOKEN as a bearer token.")


def are_on(service: Service) -> bool:
    """Whether there is anything to scrape, and permission for anyone to do so."""
    ours = service.of(MetricsSettings)
    return ours.enabled and (ours.token is not None or not service.settings.deployed)


@asynccontextmanager
async def measured(service: Service) -> AsyncGenerator[Requests | None]:
    """Measure requests and this process, if metrics are on."""
    if not are_on(service):
        yield None
        return
    requests = Requests()
    measuring = asyncio.create_task(measure(service, requests))
    try:
        yield requests
    finally:
        measuring.cancel()
        await asyncio.wait([measuring])


def require_token(service: Service, presented: str | None) -> None:
    """Require the token; without one configured, allow anyone in development and refuse all elsewhere."""
    if not are_on(service):
        raise MetricsOff
    token = service.of(MetricsSettings).token
    if token and not secrets.compare_digest(
        token.get_secret_value().encode(), (presented or "").encode()
    ):
        raise WrongToken


async def exposition(database: Database) -> bytes:
    """The Prometheus text format, without the queues if they cannot be counted in time."""
    with suppress(Unavailable):
        await probe(database, measure_queues)
    return await asyncio.to_thread(lambda: generate_latest(registry()))


def registry() -> CollectorRegistry:
    """The metrics of this process, or of all that share `PROMETHEUS_MULTIPROC_DIR`."""
    folder = os.environ.get(FOLDER)  # noqa: TID251, the library's own
    if folder is None:
        return REGISTRY
    forget_dead(folder)
    together = CollectorRegistry()
    MultiProcessCollector(together, folder)
    return together
