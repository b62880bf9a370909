"""The correlation id, which identifies the original request."""

from asgi_correlation_id import correlation_id

from app.core.carrying import Carrier

__all__ = ["carrier", "correlation_id"]

carrier = Carrier(
    variable=correlation_id,
    resume=lambda run: run.correlation_id,
    record=lambda value: {"correlation_id": value},
    describe=lambda value: {"correlation_id": value} if value else {},
)
"""Set by the middleware of `asgi_correlation_id`, which reads the header and returns it."""
