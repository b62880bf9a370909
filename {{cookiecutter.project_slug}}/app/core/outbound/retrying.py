"""Which failures are retried, and when."""

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from app.core.outbound.destinations import Destination
from app.core.outbound.failures import DestinationBusy, DestinationFailed, OutboundFailed

if TYPE_CHECKING:
    from httpx2 import Request, Response

IDEMPOTENT = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}
KEY = "Idempotency-Key"
BUSY, ERRORS = 429, 500
TRANSIENT = {500, 502, 503, 504}
LONGEST_DELAY = 20.0
"""Seconds; who is asked to wait longer fails at once."""


def failure_of(destination: Destination, response: "Response") -> OutboundFailed | None:
    """The failure that a response amounts to, if it is one."""
    if response.status_code != BUSY and response.status_code < ERRORS:
        return None
    kind = DestinationBusy if response.status_code == BUSY else DestinationFailed
    reason = f"answered {response.status_code} to {response.request.method}"
    after = seconds_of(response.headers.get("Retry-After", ""))
    failure = kind(destination.name, reason, after=after)
    failure.repeatable = kind is DestinationBusy or response.status_code in TRANSIENT
    failure.healthy = kind is DestinationBusy
    return failure


def seconds_of(after: str) -> float | None:
    """The value of Retry-After: a number, or a date."""
    if after.isascii() and after.isdigit():
        return float(after[:9])
    try:
        date = parsedate_to_datetime(after)
        left = date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)
    except (ValueError, OverflowError):
        return None
    return max(0.0, left.total_seconds())


def may_repeat(request: "Request", failure: OutboundFailed) -> bool:
    """Whether a second request could have no second effect."""
    repeats = request.method in IDEMPOTENT or KEY in request.headers
    return failure.repeatable and (repeats or not failure.sent)


def delay(destination: Destination, retry: int, failure: OutboundFailed) -> float:
    """The delay before retry number `retry`, from 0: exponential, with full jitter, and not before it is wanted."""
    ceiling = min(LONGEST_DELAY, destination.backoff_seconds * 2.0 ** min(retry, 60))
    return max(random.uniform(0, ceiling), failure.after or 0.0)  # noqa: S311, it guards nothing
