"""What is traced: requests, attempts of jobs, statements, and commands to Redis."""

import re
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from functools import lru_cache
from importlib.metadata import version
from types import TracebackType
from typing import Any
from uuid import UUID

from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
)
from starlette.types import Scope

from app.core.db.following import Follow
from app.core.jobs import Job
from app.core.jobs.runner import DONE, RELEASED
from app.core.settings import Settings
from app.core.telemetry import Attempts, Telemetry
from app.features.tracing.context import W3C, carrier, origin
from app.features.tracing.export import exporting
from app.features.tracing.outbound import watching
from app.features.tracing.sampling import HeadSampler
from app.features.tracing.settings import TracingSettings

LONGEST = 2000
"""Characters of an attribute: clients choose some."""
LITERAL = re.compile(r"('|--|/\*|\$\w*\$).*", re.DOTALL)
"""From the first quote on, as databases differ in where a literal ends; statements of the code have none."""
NOTHING = nullcontext()


def tracing(settings: Settings, ours: TracingSettings) -> Telemetry:
    """What traces the service; its provider belongs to no other service, and exports once it is open."""
    provider = TracerProvider(
        sampler=HeadSampler(ours.sample_ratio),
        resource=Resource.create(
            {
                "service.name": ours.service_name or settings.issuer,
                "service.version": version("app"),
                "deployment.environment.name": settings.environment,
            }
        ),
        shutdown_on_exit=False,
        span_limits=SpanLimits(max_span_attribute_length=LONGEST),
    )
    tracer = provider.get_tracer("app")

    @asynccontextmanager
    async def opened() -> AsyncGenerator[None]:
        propagate.set_global_textmap(W3C)  # FastAPI would accept the baggage of strangers
        redis: Any = RedisInstrumentor()
        redis.instrument(tracer_provider=provider)
        try:
            async with exporting(provider, ours):
                yield
        finally:
            redis.uninstrument()

    excluded = frozenset(ours.excluded)

    def is_excluded(scope: Scope) -> bool:
        return scope["path"] in excluded

    return Telemetry(
        open=opened,
        requests={
            "tracing": True,
            "tracer_provider": provider,
            "operation_spans": False,
            "auto_configure": False,
            "exclude": is_excluded,
        },
        carriers=(carrier,),
        statements=following(tracer),
        attempts=attempting(tracer),
        outbound=watching(tracer),
    )


class ended:  # noqa: N801, a context manager; one of a generator costs each statement more
    """Ends the span, with the kind of an error and never its message, which may quote values."""

    __slots__ = ("span",)

    def __init__(self, span: Span) -> None:
        self.span = span

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind:
            self.span.set_attribute("error.type", kind.__name__)
            self.span.set_status(StatusCode.ERROR)
        self.span.end()


@lru_cache(512)
def shown(sql: str) -> str:
    """The SQL without the values in it; most are parameters, and no part of it."""
    return LITERAL.sub("?", sql[: 2 * LONGEST])


def following(tracer: Tracer) -> Follow:
    """What is entered around each statement."""

    def enter(system: str, sql: str) -> AbstractContextManager[None]:
        if not get_current_span().is_recording():
            return NOTHING
        text = shown(sql)
        operation = text.split(None, 1)[0] if text else system
        attributes = {"db.system.name": system, "db.query.text": text}
        return ended(tracer.start_span(operation, kind=SpanKind.CLIENT, attributes=attributes))

    return enter


def attempting(tracer: Tracer) -> Attempts:
    """What is entered around each attempt of a job."""

    @contextmanager
    def attempt(job: Job[...], run_id: UUID, number: int) -> Generator[Callable[[str], None]]:
        parent, context = origin.get(), Context()
        if parent:
            context = set_span_in_context(NonRecordingSpan(parent), context)
        attributes = {"job.name": job.name, "job.id": str(run_id), "job.attempt": number}
        with tracer.start_as_current_span(
            f"job {job.name}",
            context=context,
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:

            def end(outcome: str) -> None:
                span.set_attribute("job.outcome", outcome)
                if outcome not in {DONE, RELEASED}:
                    span.set_status(StatusCode.ERROR)

            yield end

    return attempt
