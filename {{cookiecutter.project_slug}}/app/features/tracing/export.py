"""Sending spans to the collector, which delays and fails nothing."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from threading import Thread

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.util.re import parse_env_headers

from app.features.tracing.settings import TracingSettings

log = structlog.stdlib.get_logger(__name__)

EXPORT_SECONDS = 5.0
"""How long the collector may take for a batch."""
FLUSH_SECONDS = 5.0
"""How long what is left may take when the service stops."""
QUEUE, BATCH = 4096, 512
"""How many spans wait at most; further ones are dropped."""
NOISY = ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal")
"""These log each batch that fails, and each span that is dropped."""


class Exporter(SpanExporter):
    """Exports by OTLP over HTTP; the log has one line when the collector fails, and one when it is back."""

    def __init__(self, ours: TracingSettings) -> None:
        self.failing = False
        self.otlp = OTLPSpanExporter(
            endpoint=f"{ours.endpoint}".rstrip("/") + "/v1/traces",
            headers=parse_env_headers(ours.headers.get_secret_value(), liberal=True),
            timeout=EXPORT_SECONDS,
        )

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch, in a thread of its own."""
        result = self.otlp.export(spans)
        failed = result is not SpanExportResult.SUCCESS
        if failed is not self.failing:
            self.failing = failed
            log.warning("traces_are_lost" if failed else "traces_are_exported_again")
        return result

    def shutdown(self) -> None:
        """Send nothing more."""
        self.otlp.shutdown()


@asynccontextmanager
async def exporting(provider: TracerProvider, ours: TracingSettings) -> AsyncGenerator[None]:
    """Export the spans of this provider, in this process: after a fork each opens its own."""
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    processor = BatchSpanProcessor(Exporter(ours), QUEUE, max_export_batch_size=BATCH)
    provider.add_span_processor(processor)
    try:
        yield
    finally:
        flushing = Thread(target=processor.shutdown, daemon=True)  # it may not end in time
        flushing.start()
        await asyncio.to_thread(flushing.join, FLUSH_SECONDS)
