"""What observes the service: traces, and reports of errors. Without a configured one, no request pays for any."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from fastapi.telemetry import TelemetryConfig

from app.core.carrying import Carrier
from app.core.db.following import Follow
from app.core.jobs import Job
from app.core.outbound import Watch

OFF: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
"""FastAPI's own telemetry that nothing collects would cost a third of a small request."""

# Entered around an attempt of a job, by its id and number; what it yields takes the outcome.
Attempts = Callable[[Job[...], UUID, int], AbstractContextManager[Callable[[str], None]]]


class Report(Protocol):
    """Takes an unexpected error, where it was raised, and whether its message may hold secrets."""

    def __call__(self, error: Exception, where: str, *, secret: bool) -> None:
        """Keep or send it; never raises, and never blocks."""
        ...


@dataclass(frozen=True, kw_only=True)
class Telemetry:
    """What a feature observes with its settings; what it leaves out costs nothing."""

    open: Callable[[], AbstractAsyncContextManager[None]]
    """Before anything else is opened; it is closed last, when all that it observes has ended."""
    requests: TelemetryConfig | None = None
    """How FastAPI traces requests."""
    carriers: tuple[Carrier[Any], ...] = ()
    statements: Follow | None = None
    attempts: Attempts | None = None
    outbound: Watch | None = None
    report: Report | None = None


def merged(telemetry: Sequence[Telemetry]) -> TelemetryConfig:
    """FastAPI's configuration."""
    config = OFF.copy()
    for each in telemetry:
        config.update(each.requests or {})
    return config
