"""Which traces are kept, and what of a request is not written down."""

from collections.abc import Sequence
from random import random

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes

SECRET = {"url.query"}
"""What FastAPI records of a request that may hold tokens and addresses."""


class HeadSampler(Sampler):
    """Decides at random when a request or a job begins; whatever belongs to it follows.

    What a client sends decides nothing: neither the flag of its `traceparent`, nor the id of its trace, as by a ratio of
    ids it could choose one that is kept.
    """

    def __init__(self, ratio: float) -> None:
        self.ratio = ratio

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Keep it, or not."""
        parent = get_current_span(parent_context).get_span_context()
        if parent.is_valid and not parent.is_remote:
            kept = parent.trace_flags.sampled
        else:  # what waits for a server outside of any request or job is polling
            kept = kind is not SpanKind.CLIENT and random() < self.ratio  # noqa: S311, it guards nothing
        if not kept:
            return SamplingResult(Decision.DROP)
        recorded = {name: value for name, value in (attributes or {}).items() if name not in SECRET}
        return SamplingResult(Decision.RECORD_AND_SAMPLE, recorded)

    def get_description(self) -> str:
        """Its name."""
        return f"HeadSampler({self.ratio:g})"
