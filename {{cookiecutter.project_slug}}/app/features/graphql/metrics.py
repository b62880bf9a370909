"""Prometheus metrics of GraphQL."""

from prometheus_client import Counter, Histogram

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

OPERATIONS = Counter(
    "graphql_operations", "GraphQL operations, by outcome", ["operation", "name", "outcome"]
)
DURATION = Histogram(
    "graphql_operation_duration_seconds",
    "Duration of a GraphQL operation",
    ["operation", "name"],
    buckets=SECONDS,
)
COST = Histogram(
    "graphql_operation_cost",
    "Computed cost of a GraphQL operation, in reads",
    ["operation"],
    buckets=(1, 2, 5, 10, 20, 50, 100),
)

MOST_NAMES = 100
"""How many names are counted apart: clients choose them, and each is a time series."""
LONGEST_NAME = 100
"""Longer names are counted together."""
OTHER = "other"

# One set per process, like the registry.
known: set[str] = set()


def bounded(name: str | None) -> str:
    """The name of an operation, as long as there are not too many."""
    if name is None:
        return ""
    if name not in known and (len(known) >= MOST_NAMES or len(name) > LONGEST_NAME):
        return OTHER
    known.add(name)
    return name


def observe(operation: str, name: str | None, outcome: str, seconds: float, cost: int) -> None:
    """Count an operation."""
    label = bounded(name)
    OPERATIONS.labels(operation, label, outcome).inc()
    DURATION.labels(operation, label).observe(seconds)
    COST.labels(operation).observe(cost)
