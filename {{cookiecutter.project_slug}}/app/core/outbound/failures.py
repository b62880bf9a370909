"""How a call fails. Clients learn no more than the status; logs and job records name the destination."""

from http import HTTPStatus
from typing import ClassVar

from app.core.errors import Unavailable, Unprocessable

LONGEST_WAIT = 3600.0  # seconds, the most that clients are asked for


class OutboundFailed(Unavailable):
    """A service that is needed is unavailable or failing."""

    outcome: ClassVar[str] = "failed"
    """For metrics."""
    sent = True
    """Whether the request may have been received."""
    repeatable = True
    """Whether another attempt may succeed."""
    healthy: bool | None = None
    """What it says of the destination, if anything."""

    def __init__(self, destination: str, reason: str, *, after: float | None = None) -> None:
        super().__init__("A service that this request depends on is unavailable. Try again later.")
        self.args = (f"{destination} {reason}",)
        self.after = after
        """Seconds after which to try again, if the destination says so."""
        if after is not None:
            self.headers = {"Retry-After": str(max(1, round(min(after, LONGEST_WAIT))))}


class DestinationBusy(OutboundFailed):
    """Too many calls to it are in progress or waiting, or it has asked for fewer."""

    outcome = "busy"


class DestinationResting(OutboundFailed):
    """It has failed too often in a row, and is not called for a while."""

    outcome = "resting"
    repeatable = False


class DestinationFailed(OutboundFailed):
    """It cannot be reached, or responds with an error."""

    status = HTTPStatus.BAD_GATEWAY
    healthy = False


class ResponseTooLarge(DestinationFailed):
    """Its response is larger than allowed, and was not read to the end."""

    outcome = "too_large"
    repeatable = False
    healthy = None


class DestinationTooSlow(OutboundFailed):
    """It did not respond in time."""

    status = HTTPStatus.GATEWAY_TIMEOUT
    outcome = "too_slow"
    healthy = False


class UrlRefused(Unprocessable):
    """A URL that a user provided leads to a place that is not allowed."""

    outcome: ClassVar[str] = "refused"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The URL is not allowed: {reason}.")
