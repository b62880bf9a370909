"""Collecting the metrics of this process and its siblings."""

import os
import secrets
from contextlib import suppress

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from app.core.db.session import Database, probe
from app.core.errors import NotFound, Unauthorized, Unavailable
from app.core.jobs.metrics import measure_queues
from app.core.service import Service
from app.features.metrics.settings import MetricsSettings

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class MetricsOff(NotFound):
    """A deployed service exposes no metrics unless a token is set."""

    def __init__(self) -> None:
        super().__init__("Metrics are off. Set METRICS_TOKEN, and present it as a bearer token.")


class WrongToken(Unauthorized):
    """The caller does not present the token."""

    def __init__(self) -> None:
        super().__init__("Present METRICS_TOKEN as a bearer token.")


def require_token(service: Service, presented: str | None) -> None:
    """Require the token; without one configured, allow anyone in development and refuse all elsewhere."""
    token = service.of(MetricsSettings).token
    if token is None:
        if service.settings.deployed:
            raise MetricsOff
    elif not secrets.compare_digest(token.get_secret_value().encode(), (presented or "").encode()):
        raise WrongToken


async def exposition(database: Database) -> bytes:
    """The Prometheus text format, without the queues if they cannot be counted in time."""
    with suppress(Unavailable):
        await probe(database, measure_queues)
    return generate_latest(registry())


def registry() -> CollectorRegistry:
    """The metrics of this process, or of all that share `PROMETHEUS_MULTIPROC_DIR`."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:  # noqa: TID251, the library's own
        return REGISTRY
    together = CollectorRegistry()
    MultiProcessCollector(together)
    return together
