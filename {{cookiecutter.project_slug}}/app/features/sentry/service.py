"""What is sent of an error: its kind, where it was raised, and whose request it was."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any

import sentry_sdk
from opentelemetry.trace import format_span_id, format_trace_id, get_current_span
from sentry_sdk.types import Event, Hint
from sentry_sdk.utils import event_from_exception

from app.core.context import actor
from app.core.correlation import correlation_id
from app.core.settings import Settings
from app.core.telemetry import Telemetry
from app.features.sentry.settings import SentrySettings

FLUSH_SECONDS = 2.0
"""How long what is left may take when the service stops."""
OURS = "app"
"""Messages of the exceptions in this package are written for readers."""


def reporting(settings: Settings, ours: SentrySettings) -> Telemetry:
    """What reports errors; nothing is patched, as the service itself hands them over."""
    options: dict[str, Any] = {
        "dsn": ours.dsn.get_secret_value() if ours.dsn else None,
        "environment": ours.environment or settings.environment,
        "release": ours.release or f"{settings.issuer}@{version('app')}",
        "sample_rate": ours.sample_rate,
        "default_integrations": False,
        "auto_enabling_integrations": False,
        "auto_session_tracking": False,
        "include_local_variables": False,
        "max_request_body_size": "never",
        "max_breadcrumbs": 0,
        "server_name": "",
        "before_send": partial(complete, messages=ours.messages),
    }

    @asynccontextmanager
    async def opened() -> AsyncGenerator[None]:
        sentry_sdk.init(**options)
        client = sentry_sdk.get_client()
        try:
            yield
        finally:
            await asyncio.to_thread(client.close, FLUSH_SECONDS)
            sentry_sdk.get_global_scope().set_client(None)

    def report(error: Exception, where: str, *, secret: bool) -> None:
        client = sentry_sdk.get_client()
        unhandled = {"type": "service", "handled": False}
        event, hint = event_from_exception(error, client.options, unhandled)
        event["transaction"] = where
        client.capture_event(event, hint | {"secret": secret})

    return Telemetry(open=opened, report=report)


def hide_messages(event: Event, *, every: bool) -> None:
    """Leave out the messages of exceptions, which may quote values: all, or those that are not written here."""
    for each in event.get("exception", {}).get("values", ()):
        if every or not f"{each.get('module')}.".startswith(f"{OURS}."):
            each["value"] = ""


def complete(event: Event, hint: Hint, *, messages: bool) -> Event:
    """Add what is known of the request or the job: ids, and nothing else of the user."""
    secret: bool = hint.get("secret", False)
    if secret or not messages:
        hide_messages(event, every=secret)
    tags = {"correlation_id": correlation_id.get() or ""}
    if (span := get_current_span().get_span_context()).is_valid:
        trace_id = format_trace_id(span.trace_id)
        tags["trace_id"] = trace_id
        trace: dict[str, object] = {"trace_id": trace_id, "span_id": format_span_id(span.span_id)}
        event.setdefault("contexts", {})["trace"] = trace
    event["tags"] = {**event.get("tags", {}), **tags}
    if user_id := actor.get().user_id:
        event["user"] = {"id": str(user_id)}
    return event
