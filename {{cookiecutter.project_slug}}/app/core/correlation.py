"""The correlation id, which identifies the original request."""

import re
from contextvars import ContextVar

from starlette.types import Scope
from uuid_utils import uuid4

from app.core.carrying import Carrier

HEADER = "X-Correlation-ID"
NAME = HEADER.lower().encode()
SAFE = re.compile(rb"[A-Za-z0-9._-]{1,64}")
"""What goes into the log as it is."""

correlation_id: ContextVar[str | None] = ContextVar("correlation_id", default=None)


def begin(scope: Scope) -> str | None:
    """The id that the client sent, or a new one; none for the service's own start and end."""
    if scope["type"] == "lifespan":
        return None
    for name, value in scope["headers"]:
        if name == NAME and SAFE.fullmatch(value):
            return value.decode()
    return uuid4().hex


carrier = Carrier(
    variable=correlation_id,
    begin=begin,
    resume=lambda run: run.correlation_id,
    record=lambda value: {"correlation_id": value},
    describe=lambda value: {"correlation_id": value} if value else {},
)
