"""Prometheus metrics of calls to other services; labels are names in the code, and classes of outcomes."""

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

ATTEMPTS = Counter(
    "outbound_attempts", "Attempts to call another service", ["destination", "outcome"]
)
DURATION = Histogram(
    "outbound_duration_seconds", "Duration of an attempt", ["destination"], buckets=SECONDS
)
RETRIES = Counter("outbound_retries", "Attempts after the first", ["destination"])
WAITED = Histogram(
    "outbound_wait_seconds",
    "How long calls waited for their turn, of those that did",
    ["destination"],
    buckets=SECONDS,
)
OPENED = Counter("outbound_breaker_opened", "How often the breaker opened", ["destination"])
OPEN = Gauge(
    "outbound_breaker_open",
    "Whether the breaker is open, in the process where it last changed",
    ["destination"],
    multiprocess_mode="mostrecent",
)
