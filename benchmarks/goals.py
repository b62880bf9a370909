"""What the project wants to reach, and whether it does."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# Requests per second as ratio to the floor, by service and work.
RATES: Mapping[str, Mapping[str, float]] = {
    "default": {"live": 0.70, "me": 1.20, "page": 1.50, "create": 0.85, "busy": 1.00},
    "tenants": {"live": 0.70, "me": 1.00, "page": 1.10, "create": 0.70, "busy": 1.00},
    "graphql": {"live": 0.70},
}
# The 95th percentile is at most the floor's.
QUICK_ENOUGH = {(name, work) for name in ("default", "tenants") for work in ("me", "page")}
START = 1.6
"""Times the floor's."""
MEMORY: Mapping[str, float] = {"default": 125}
"""MiB after load."""
DEPTH = 1.1
"""Times the latency of the first page."""
ROUTES = 0.90
"""Requests per second among all routes to those of a route alone."""
STEPS: Mapping[str, float] = {"cookiecutter": 0.8, "copier": 0.8, "update": 4}
"""Seconds."""


@dataclass
class Verdicts:
    """Which goals have been compared with figures, as the cells of tables are written."""

    met: list[str] = field(default_factory=list[str])
    missed: list[str] = field(default_factory=list[str])

    def at_least(self, what: str, value: float, limit: float | None) -> str:
        """The cell for a figure that must not be lower; empty without a limit."""
        return "" if limit is None else self.judge(what, f"≥ {limit:.2f}", met=value >= limit)

    def at_most(self, what: str, value: float, limit: float | None, *, digits: int = 2) -> str:
        """The cell for a figure that must not be higher; empty without a limit."""
        if limit is None:
            return ""
        return self.judge(what, f"≤ {limit:.{digits}f}", met=value <= limit)

    def judge(self, what: str, limit: str, *, met: bool) -> str:
        """Record it."""
        (self.met if met else self.missed).append(what)
        return f"{limit}, {'met' if met else '**missed**'}"

    def summary(self) -> str:
        """How many are met, and which are not."""
        count = len(self.met) + len(self.missed)
        missed = f"; missed: {', '.join(self.missed)}" if self.missed else ""
        return f"{len(self.met)} of {count} targets are met{missed}."
