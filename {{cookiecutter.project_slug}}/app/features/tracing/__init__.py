"""Traces of requests, jobs and what they wait for, by OpenTelemetry; off until `TRACING_ENDPOINT` is set."""

from typing import cast

from app.core.feature import Feature, Kinds
from app.core.settings import Settings
from app.core.telemetry import Telemetry
from app.features.tracing.settings import TracingSettings


def traced(settings: Settings, configured: Kinds) -> Telemetry | None:
    """What traces the service, if there is a collector to send traces to."""
    ours = cast("TracingSettings", configured[TracingSettings])
    if ours.endpoint is None:
        return None
    from app.features.tracing.service import tracing  # noqa: PLC0415, what it imports may not be installed

    return tracing(settings, ours)


feature = Feature(telemetry=traced, settings=(TracingSettings,))
