"""Metrics of requests."""

from collections.abc import Callable

from prometheus_client import Gauge, Histogram

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
METHODS = {"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"}
OTHER, UNMATCHED = "other", "unmatched"
"""How methods are counted that clients make up, and paths without a route: each label would be a new time series."""

DURATION = Histogram(
    "http_request_duration_seconds",
    "Duration of a request, by the template of its path; status 0: the client left before the response",
    ["method", "route", "status"],
    buckets=SECONDS,
)
IN_PROGRESS = Gauge(
    "http_requests_in_progress", "Requests that are being served", multiprocess_mode="livesum"
)


class Requests:
    """Counts the requests of a service."""

    def __init__(self) -> None:
        self.running = 0
        self.known: dict[tuple[str, str | None, int], Callable[[float], None]] = {}
        """Finding the time series of these labels would cost more than the rest."""

    def begin(self) -> None:
        """One more is being served."""
        self.running += 1

    def end(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count it."""
        self.running -= 1
        if method not in METHODS:
            method = OTHER
        try:
            observe = self.known[method, route, status]
        except KeyError:
            series = DURATION.labels(method, route or UNMATCHED, str(status))
            observe = self.known[method, route, status] = series.observe
        observe(seconds)
