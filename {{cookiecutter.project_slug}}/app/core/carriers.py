"""All carriers of context, and what applies them to requests, jobs, logs and keys."""

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from contextvars import Token
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import Scope

from app.core import (
    context,
    correlation,
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenancy,
    # {% endif %}
)
from app.core.carrying import Carrier
from app.core.schemas import Output

CARRIERS: list[Carrier[Any]] = [
    correlation.carrier,
    context.carrier,
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenancy.carrier,
    # {% endif %}
]


@contextmanager
def also(carriers: Iterable[Carrier[Any]]) -> Generator[None]:
    """Apply these too meanwhile; to all services of the process, as they share its log."""
    more = [*carriers]
    CARRIERS.extend(more)
    try:
        yield
    finally:
        for each in more:
            CARRIERS.remove(each)


class carrying:  # noqa: N801, a context manager; one of a generator costs each request three times as much
    """Set these values, and reset them at the end."""

    __slots__ = ("tokens", "values")

    def __init__(self, values: Sequence[tuple[Carrier[Any], Any]]) -> None:
        self.values = values

    def __enter__(self) -> None:
        self.tokens: list[Token[Any]] = [
            carrier.variable.set(value) for carrier, value in self.values
        ]

    def __exit__(self, *error: object) -> None:
        for token in reversed(self.tokens):
            token.var.reset(token)


def begun(scope: Scope) -> list[tuple[Carrier[Any], Any]]:
    """The initial values of a request or a WebSocket."""
    return [(carrier, carrier.begin(scope)) for carrier in CARRIERS if carrier.begin]


def resumed(run: object) -> list[tuple[Carrier[Any], Any]]:
    """The values of a job, restored from its row."""
    return [(carrier, carrier.resume(run)) for carrier in CARRIERS]


def recorded() -> dict[str, Any]:
    """The current values, as columns of a new row of the job table."""
    return {
        name: value
        for carrier in CARRIERS
        for name, value in carrier.record(carrier.variable.get()).items()
    }


def described() -> dict[str, Any]:
    """The current values, as fields of a log line."""
    return {
        name: value
        for carrier in CARRIERS
        for name, value in carrier.describe(carrier.variable.get()).items()
    }


def partition(session: AsyncSession | None = None) -> list[str]:
    """The prefix that separates the keys of different contexts."""
    return [carrier.partition(session) for carrier in CARRIERS if carrier.partition]


class RecordRead(Output):
    """The common fields of records in responses."""

    # {% if cookiecutter.multi_tenancy == "row" %}
    tenant_id: UUID | None
    # {% endif %}
    id: UUID
    created_at: AwareDatetime
    correlation_id: str | None
