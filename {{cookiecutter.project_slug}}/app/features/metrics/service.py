"""Collecting what was measured, in this process and those beside it."""

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
    """A deployed service shows its figures to nobody unless a token is set."""

    def __init__(self) -> None:
        super().__init__("Metrics are off. Set METRICS_TOKEN, and present it as a bearer token.")


class WrongToken(Unauthorized):
    """Somebody else than our Prometheus asks."""

    def __init__(self) -> None:
        super().__init__("Present METRICS_TOKEN as a bearer token.")


def demand_token(service: Service, presented: str | None) -> None:
    """Let in whoever holds the token; without one, anybody on a laptop and nobody elsewhere."""
    token = service.of(MetricsSettings).token
    if token is None:
        if service.settings.deployed:
            raise MetricsOff
    elif not secrets.compare_digest(token.get_secret_value().encode(), (presented or "").encode()):
        raise WrongToken


async def exposition(database: Database) -> bytes:
    """Prometheus' text format; without the queues when they cannot be counted soon."""
    with suppress(Unavailable):
        await probe(database, measure_queues)
    return generate_latest(registry())


def registry() -> CollectorRegistry:
    """The figures of this process, or of all that share `PROMETHEUS_MULTIPROC_DIR`."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:  # noqa: TID251, the library's own
        return REGISTRY
    together = CollectorRegistry()
    MultiProcessCollector(together)
    return together
