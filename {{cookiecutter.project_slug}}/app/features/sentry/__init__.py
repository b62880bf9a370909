"""Unexpected errors, sent to Sentry; off until `SENTRY_DSN` is set."""

from typing import cast

from app.core.feature import Feature, Kinds
from app.core.settings import Settings
from app.core.telemetry import Telemetry
from app.features.sentry.settings import SentrySettings


def reported(settings: Settings, configured: Kinds) -> Telemetry | None:
    """What reports errors, if there is a project to report to."""
    ours = cast("SentrySettings", configured[SentrySettings])
    if ours.dsn is None:
        return None
    from app.features.sentry.service import reporting  # noqa: PLC0415, what it imports may not be installed

    return reporting(settings, ours)


feature = Feature(telemetry=reported, settings=(SentrySettings,))
