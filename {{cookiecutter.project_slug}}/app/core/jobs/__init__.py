"""Work that outlives its request: `@job` declares it, `enqueue` asks for it, a `Queue` runs it."""

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
"""The queue of what the service does for itself: with a share of its own, it waits for no backlog."""


class JobError(Exception):
    """A failure in words of our own: they are stored and shown, those of a secret job too."""


class GiveUp(JobError):
    """Raised by a job that no retry can help; it says why, without repeating what is secret."""


class UnreadableArguments(JobError):
    """Another version of the service, or one with another key, enqueued this; it may run there."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Job(Generic[P]):
    """What is to be done, and how patiently. It stays the same whichever queue runs it."""

    name: str
    """Stable and unique, such as `mail.deliver`: rows in the database carry it."""
    function: Callable[..., Awaitable[None]]
    arguments: type[BaseModel]
    queue: str
    retries: int
    """How many more times it is tried after it failed."""
    backoff: timedelta
    """Before the first retry, at most; it doubles each time, up to `max_backoff`."""
    max_backoff: timedelta
    time_limit: timedelta
    schedule: Schedule | None
    unique_for: timedelta | None
    """For so long the same job with the same arguments is enqueued once only."""
    each_customer: bool
    """Whether a scheduled job runs once for each customer, or once for the service."""
    secret: bool
    """Whether its arguments are encrypted in the database, and shown to nobody."""

    def delay(self, attempt: int) -> timedelta:
        """How long to wait after failed attempt number `attempt`: exponential, with full jitter."""
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
    """Declare a job: an `async` function of a `Work` and of keyword arguments with types.

    It may run twice when a process dies, so what it does outside of its session must bear that;
    what it writes in its session is kept exactly once.
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
    """A model of the keyword arguments: what goes into the database is checked, and comes back typed."""
    fields: dict[str, Any] = {}
    for parameter in list(signature(function, eval_str=True).parameters.values())[1:]:
        if parameter.kind is not Parameter.KEYWORD_ONLY:
            raise TypeError(f"{name}: {parameter.name} must be a keyword-only argument")
        if parameter.annotation in {SecretStr, SecretBytes}:
            raise TypeError(f"{name}: {parameter.name} is stored as stars; use str and secret=True")
        default = ... if parameter.default is Parameter.empty else parameter.default
        fields[parameter.name] = (parameter.annotation, default)
    return create_model(name, __config__=ConfigDict(extra="forbid"), **fields)


class Queue(Protocol):
    """An adapter: it sees to it that the rows of the job table are worked off."""

    def __init__(self, settings: Any, jobs: Jobs) -> None: ...  # noqa: ANN401, they import this module

    def nudge(self, runs: Sequence[tuple[UUID, str]]) -> None:
        """Rows (id and name) have just been committed; never blocks, and may be lost."""
        ...

    def working(self, service: Any) -> AbstractAsyncContextManager[None]:  # noqa: ANN401, likewise
        """What the process does for jobs while the service runs."""
        ...

    async def check(self) -> dict[str, str]:
        """What the queue depends on, beside the database, each with `ok` or what is wrong."""
        ...
