"""Background jobs: `@job` declares one, `enqueue` requests a run, a `Queue` adapter runs it."""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from inspect import Parameter, signature
from typing import Any, Concatenate, Generic, ParamSpec, Protocol
from uuid import UUID

from pydantic import BaseModel, ConfigDict, SecretBytes, SecretStr, create_model

from app.core.jobs.schedule import Schedule

P = ParamSpec("P")

HOUSEKEEPING = "housekeeping"
"""The queue of the service's own chores: it has its own share, so that no backlog delays it."""


class JobError(Exception):
    """A failure whose message is ours, and is therefore stored and shown even for a secret job."""


class GiveUp(JobError):
    """Raised by a job that no retry can help; says why, without repeating secrets."""


class UnreadableArguments(JobError):
    """Enqueued by another version of the service, or with another key; it may run there."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Job(Generic[P]):
    """A job and its retry policy, whichever queue runs it."""

    name: str
    """Stable and unique, such as `mail.deliver`: rows in the database refer to it."""
    function: Callable[..., Awaitable[None]]
    arguments: type[BaseModel]
    queue: str
    retries: int
    """How many times it is retried after a failure."""
    backoff: timedelta
    """The maximum delay before the first retry; it doubles each time, up to `max_backoff`."""
    max_backoff: timedelta
    time_limit: timedelta
    schedule: Schedule | None
    unique_for: timedelta | None
    """For how long the same job with the same arguments is enqueued only once."""
    each_customer: bool
    """Whether a scheduled job runs once for each customer, or once for the service."""
    secret: bool
    """Whether its arguments are encrypted in the database, and never shown."""

    def delay(self, attempt: int) -> timedelta:
        """The delay after failed attempt number `attempt`: exponential, with full jitter."""
        doubled = self.backoff.total_seconds() * 2.0 ** min(attempt - 1, 60)
        ceiling = min(self.max_backoff.total_seconds(), doubled)
        return timedelta(seconds=random.uniform(0, ceiling))  # noqa: S311, it guards nothing


Jobs = Mapping[str, Job[...]]


def job(  # noqa: PLR0913, each has a default
    name: str,
    *,
    queue: str = "default",
    retries: int = 5,
    backoff: timedelta = timedelta(seconds=5),
    max_backoff: timedelta = timedelta(hours=1),
    time_limit: timedelta = timedelta(minutes=1),
    schedule: Schedule | None = None,
    unique_for: timedelta | None = None,
    each_customer: bool = False,
    secret: bool = False,
) -> Callable[[Callable[Concatenate[Any, P], Awaitable[None]]], Job[P]]:
    """Declare a job: an `async` function that takes a `Work` and typed keyword arguments.

    It may run twice if a process dies, so its effects outside its session must be idempotent; what it
    writes in its session is committed exactly once.
    """

    def declare(function: Callable[Concatenate[Any, P], Awaitable[None]]) -> Job[P]:
        arguments = arguments_of(name, function)
        if schedule is not None and arguments.model_fields:
            raise TypeError(f"{name}: a scheduled job takes no arguments")
        if each_customer and schedule is None:
            raise TypeError(f"{name}: only a scheduled job runs for each customer")
        return Job(
            name=name,
            function=function,
            arguments=arguments,
            queue=queue,
            retries=retries,
            backoff=backoff,
            max_backoff=max_backoff,
            time_limit=time_limit,
            schedule=schedule,
            unique_for=unique_for,
            each_customer=each_customer,
            secret=secret,
        )

    return declare


def arguments_of(name: str, function: Callable[..., object]) -> type[BaseModel]:
    """A model of the keyword arguments, which validates what is stored and restores its types."""
    fields: dict[str, Any] = {}
    for parameter in list(signature(function, eval_str=True).parameters.values())[1:]:
        if parameter.kind is not Parameter.KEYWORD_ONLY:
            raise TypeError(f"{name}: {parameter.name} must be a keyword-only argument")
        if parameter.annotation in {SecretStr, SecretBytes}:
            raise TypeError(f"{name}: {parameter.name} is stored masked; use str and secret=True")
        default = ... if parameter.default is Parameter.empty else parameter.default
        fields[parameter.name] = (parameter.annotation, default)
    return create_model(name, __config__=ConfigDict(extra="forbid"), **fields)


class Queue(Protocol):
    """An adapter, which gets the rows of the job table run."""

    def __init__(self, settings: Any, jobs: Jobs, configured: Any) -> None:  # noqa: ANN401, they import this module
        """Make it with the service's settings, and those of the features, by class."""
        ...

    def nudge(self, runs: Sequence[tuple[UUID, str]]) -> None:
        """Notify of rows (id and name) just committed; never blocks, and may be lost."""
        ...

    def working(self, service: Any) -> AbstractAsyncContextManager[None]:  # noqa: ANN401, likewise
        """What this process does for jobs while the service runs."""
        ...

    async def check(self) -> dict[str, str]:
        """The queue's dependencies besides the database, each with `ok` or what is wrong."""
        ...
