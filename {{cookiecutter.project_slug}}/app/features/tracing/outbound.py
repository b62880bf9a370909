"""Spans of requests to other services, which carry the trace there."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry.trace import SpanKind, StatusCode, Tracer

from app.core.telemetry import Watch
from app.features.tracing.context import W3C

if TYPE_CHECKING:
    from httpx2 import Request, Response

FAILED = 400


def watching(tracer: Tracer) -> Watch:
    """What is entered around each attempt of a request; it takes the response."""

    @contextmanager
    def watch(request: "Request") -> "Generator[Callable[[Response], None]]":
        # Never its path or query: those of webhooks are secrets.
        attributes = {
            "http.request.method": request.method,
            "server.address": request.url.host,
            "url.scheme": request.url.scheme,
        }
        with tracer.start_as_current_span(
            request.method,
            kind=SpanKind.CLIENT,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            W3C.inject(request.headers)

            def answered(response: "Response") -> None:
                span.set_attribute("http.response.status_code", response.status_code)
                if response.status_code >= FAILED:
                    span.set_status(StatusCode.ERROR)

            try:
                yield answered
            except Exception as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(StatusCode.ERROR)
                raise

    return watch
