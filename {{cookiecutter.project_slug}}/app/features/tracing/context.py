"""The trace that a request or a job belongs to, in log lines and in the job table."""

from contextvars import ContextVar
from typing import Any

from opentelemetry.trace import SpanContext, format_trace_id, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.core.carrying import Carrier

W3C = TraceContextTextMapPropagator()
"""Carries `traceparent`, and no baggage."""
origin: ContextVar[SpanContext | None] = ContextVar("origin", default=None)
"""In a job, the span that enqueued it."""


def resume(run: Any) -> SpanContext | None:  # noqa: ANN401, a row of the job table
    """The span in the row, as one of our own: its job is traced if it is."""
    found = W3C.extract({"traceparent": run.trace_context or ""})
    span = get_current_span(found).get_span_context()
    if not span.is_valid:
        return None
    return SpanContext(span.trace_id, span.span_id, is_remote=False, trace_flags=span.trace_flags)


def record(_: object) -> dict[str, Any]:
    """The current span, as a column of the row."""
    carried = dict[str, str]()
    W3C.inject(carried)
    return {"trace_context": carried.get("traceparent")}


def describe(_: object) -> dict[str, Any]:
    """The id of the trace, for log lines."""
    span = get_current_span().get_span_context()
    return {"trace_id": format_trace_id(span.trace_id)} if span.is_valid else {}


carrier = Carrier(variable=origin, resume=resume, record=record, describe=describe)
