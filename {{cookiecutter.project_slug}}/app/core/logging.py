"""Structured logs: one JSON object per line when deployed, readable lines in development."""

import json
import logging
import os
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from io import StringIO
from typing import Any, TextIO, cast

import structlog
from pydantic_core import PydanticSerializationError, to_json
from structlog.typing import Processor

from app.core.carriers import described
from app.core.changes import Changes
from app.core.errors import REPORTED
from app.core.masking import masked, masked_field, masked_text
from app.core.settings import LogFormat, Settings

Event = MutableMapping[str, Any]


def drop_color_message(logger: object, method: str, event: Event) -> Event:
    """Drop uvicorn's second copy of its own message."""
    event.pop("color_message", None)
    return event


def say_what_it_is_about(logger: object, method: str, event: Event) -> Event:
    """Add the context of a line, such as its request."""
    event.update(described())
    return event


INTERNAL = {"_record", "_from_structlog", "exc_info"}
"""Fields that are not rendered as they are."""


def hide_secrets(logger: object, method: str, event: Event) -> Event:
    """Mask what must not be in a log."""
    return {
        name: value if name in INTERNAL else masked_field(name, value)
        for name, value in event.items()
    }


def hide_in_traceback(logger: object, method: str, event: Event) -> Event:
    """The same in the messages of exceptions."""
    if "exception" in event:
        event["exception"] = masked(event["exception"])
    return event


def plain_traceback(stream: TextIO, error: structlog.typing.ExcInfo) -> None:
    """Write a traceback without secrets, and without the values of variables."""
    text = StringIO()
    structlog.dev.plain_traceback(text, error)
    stream.write(masked_text(text.getvalue()))


SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    say_what_it_is_about,
    structlog.stdlib.ExtraAdder(),
    drop_color_message,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    hide_secrets,
]


# Without the values of local variables: a password may be among them.
TRACEBACKS = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


PLAIN = {str, int, float, bool, type(None)}


def as_json(event: Event, **options: Any) -> str:  # noqa: ANN401, structlog's
    """The line; in a quarter of the time that Python's own encoder needs, unless it has other objects, which structlog shows."""
    if all(type(value) in PLAIN for value in event.values()):
        with suppress(PydanticSerializationError):  # such as half a surrogate pair
            return to_json(event, ensure_ascii=True).decode()
    return json.dumps(event, **options)


def renderers(log_format: LogFormat) -> list[Processor]:
    """The processors that render a line."""
    if log_format is LogFormat.JSON:
        return [TRACEBACKS, hide_in_traceback, structlog.processors.JSONRenderer(as_json)]
    colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")  # noqa: TID251, of every program
    return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain_traceback)]


# These would log whole URLs, statements with values, forms, or a line for each connection or file.
QUIET = {
    "aiosqlite": logging.INFO,
    "alembic.runtime.plugins": logging.WARNING,
    "app.core.db.engine.ConnectionPool": logging.WARNING,
    "httpx2": logging.WARNING,
    "httpcore2": logging.INFO,
    "python_multipart": logging.INFO,
    "watchfiles": logging.WARNING,
}


def hand_over() -> None:
    """Route structlog through the standard library, whose handlers `configure` sets."""
    for name, level in QUIET.items():
        logging.getLogger(name).setLevel(level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


ACCESS = "app.access"


class Lines(structlog.WriteLogger):
    """Lines of a stream; as with the standard library, one that cannot be written fails no request."""

    def info(self, message: str) -> None:
        """Write it, unless the pipe is broken, the disk full, or the stream closed."""
        with suppress(OSError, ValueError):
            super().info(message)


def is_unreported(record: logging.LogRecord) -> bool:
    """Whether the exception of this line was not logged before, with what is known of its request."""
    return not (record.exc_info and getattr(record.exc_info[1], REPORTED, False))


REPEATED = {
    "cache_unavailable",
    "jobs_wait_for_the_database",
    "limits_unavailable",
    "no connection to the database: %s",
    "not_ready",
    "the database failed: %s",
}
"""What each request and each probe would log anew during an outage."""


class Output(logging.StreamHandler[TextIO]):
    """Writes lines to standard error; what is `REPEATED` only if it is new, or a minute old."""

    def __init__(self, log_format: LogFormat, level: int) -> None:
        super().__init__()
        self.changes = Changes()
        self.addFilter(self.is_news)
        self.direct: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
            Lines(self.stream),
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.processors.add_log_level,
                say_what_it_is_about,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                *renderers(log_format),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(level),
        ).bind(logger=ACCESS)
        """Writes the lines of requests, which have no secrets, without the detour through the standard library."""

    def is_news(self, record: logging.LogRecord) -> bool:
        """Whether it is worth a line."""
        fields: dict[str, object] = {"event": record.msg, "args": record.args}
        if isinstance(record.msg, dict):
            fields = cast("dict[str, object]", record.msg)
        if fields.get("event") not in REPEATED:
            return True
        varying = {"timestamp", *described()}
        said = {name: value for name, value in fields.items() if name not in varying}
        return self.changes.are_news(repr((record.name, said)))


def access_log() -> structlog.typing.FilteringBoundLogger | structlog.stdlib.BoundLogger:
    """The log of requests: direct, unless the standard library has other handlers too."""
    match logging.getLogger().handlers:
        case [Output() as output]:
            return output.direct
        case _:
            return structlog.stdlib.get_logger(ACCESS)


def configure(settings: Settings) -> None:
    """Log the service and its libraries in the same format, to standard error."""
    hand_over()
    log_format = settings.log_format or (LogFormat.JSON if settings.deployed else LogFormat.CONSOLE)
    level = logging.getLevelNamesMapping()[settings.log_level]
    handler = Output(log_format, level)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *renderers(log_format),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    logging.getLogger("uvicorn.error").addFilter(is_unreported)
    logging.getLogger("uvicorn.access").disabled = True  # ours says more and costs less
