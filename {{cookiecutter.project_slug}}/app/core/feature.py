"""What a folder under `app/features` contributes to the service."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from typer import Typer

from app.core.db.base import Base
from app.core.db.migrations import Step
from app.core.events import Event, Listener
from app.core.jobs import Job, Queue
from app.core.observers import Observer
from app.core.resources import Resource
from app.core.routing import Mount
from app.core.sampling import Sampling
from app.core.security.principal import Admit, Narrow, Scheme
from app.core.settings import FeatureSettings, Settings
from app.core.telemetry import Telemetry

# Creates missing rows that the service needs; takes the permissions of every user.
Seed = Callable[[AsyncSession, Sequence[str]], Awaitable[None]]
# Creates demo data in an empty database; returns what to print for the developer.
Demo = Callable[[AsyncSession, Settings], Awaitable[str]]
# Adds a batch of example rows; called until there are as many as wanted.
Sample = Callable[[AsyncSession, Sampling], Awaitable[None]]


# The settings of all features, by class.
Kinds = Mapping[type[FeatureSettings], FeatureSettings]
# A context for each customer, in which to act for that customer.
Customers = Callable[[AsyncSession], Awaitable[Sequence[AbstractContextManager[None]]]]
# What customers are called, and the context in which to act for the one with this id, who must exist.
CustomerById = tuple[str, Callable[[AsyncSession, UUID], Awaitable[AbstractContextManager[None]]]]
# Path, kind, name and access of each.
Operations = Callable[[], Iterable[tuple[str, str, str, Any]]]
# Opened in each process that serves requests, with its service; none if there is nothing to see to.
Observing = Callable[[Any], AbstractAsyncContextManager[Observer | None]]


@dataclass(frozen=True, slots=True)
class RequestHeader:
    """A header that authenticated requests may have, which CORS allows and OpenAPI shows."""

    name: str
    description: str
    schema: Mapping[str, object]


@dataclass(frozen=True, kw_only=True, eq=False)
class Feature:
    """The interface of a feature: everything that the service needs to know about it."""

    router: APIRouter | None = None
    mounts: tuple[Mount, ...] = ()
    """ASGI applications, each under a path of its own."""
    operations: Operations | None = None
    """What is called through one endpoint, for `app routes`."""
    models: tuple[type[Base], ...] = ()
    migrations: tuple[Step, ...] = ()
    events: tuple[type[Event], ...] = ()
    listeners: tuple[Listener, ...] = ()
    jobs: tuple[Job[...], ...] = ()
    permissions: tuple[type[StrEnum], ...] = ()
    member_permissions: tuple[StrEnum, ...] = ()
    """Granted to every user who registers, and once to existing users: by the first `app db upgrade`, or
    `app dev`, with the feature."""
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenant_permissions: Mapping[str, tuple[StrEnum, ...]] = field(
        default_factory=dict[str, tuple[StrEnum, ...]]
    )
    """The permissions of each tenant role, by name of the role."""
    # {% endif %}
    schemes: tuple[Scheme, ...] = ()
    narrowing: tuple[Narrow, ...] = ()
    """Further steps of authentication, such as to find the customer that the caller acts for."""
    admissions: tuple[Admit, ...] = ()
    """What decides whether a request is served now, once its caller is known; not asked about `uncounted` endpoints."""
    headers: tuple[RequestHeader, ...] = ()
    accepted: tuple[str, ...] = ()
    """Headers of requests that pages of other origins may send, besides `headers`."""
    exposed: tuple[str, ...] = ()
    """Headers of responses that pages of other origins may read."""
    refusals: Mapping[int, str] = field(default_factory=dict[int, str])
    """Statuses that any authenticated request may be refused with, for OpenAPI."""
    resources: tuple[Resource[Any], ...] = ()
    observer: Observing | None = None
    """Sees every request begin and end."""
    customers: Customers | None = None
    customer: CustomerById | None = None
    """How an operator chooses one, for `app shell`."""
    queue: Callable[[Settings, Kinds], type[Queue] | None] | None = None
    """The default of `JOB_QUEUE` with these settings."""
    telemetry: Callable[[Settings, Kinds], Telemetry | None] | None = None
    """What observes the service with these settings, if anything does."""
    settings: tuple[type[FeatureSettings], ...] = ()
    seed: Seed | None = None
    demo: Demo | None = None
    sample: Sample | None = None
    cli: Typer | None = None
