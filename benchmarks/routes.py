"""What the other routes of the largest project cost a request to one of them, without a server."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.programs import limits
from benchmarks.services import INSIDE, bake, command_in


@dataclass(frozen=True)
class Route:
    """A route among all, and alone."""

    place: str
    name: str
    status: int
    microseconds: float
    """Of a request without a token, among all routes."""
    ratio: float
    """Requests per second among all routes to those of the route alone."""


def compare(rounds: int) -> tuple[int, Sequence[Route]]:
    """How many routes there are, and some of them."""
    largest = bake("largest", "use_celery=true", "use_graphql=true", "multi_tenancy=row")
    unlimited = limits("off") | {"LIMITS_TOKEN_ADDRESS": "off"}
    output = command_in(largest, "python", INSIDE / "routing.py", str(rounds), **unlimited)
    answer = json.loads(output.splitlines()[-1])
    return answer["count"], [Route(**each) for each in answer["routes"]]
