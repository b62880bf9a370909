"""What a folder under `app/features` contributes to the service."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from typer import Typer

from app.core.db.base import Base
from app.core.db.migrations import Step
from app.core.events import Event, Listener
from app.core.jobs import Job, Queue
from app.core.resources import Resource
from app.core.routing import Mount
from app.core.security.principal import Admit, Narrow, Scheme
from app.core.settings import FeatureSettings, Settings

# Creates missing rows that the service needs; takes the permissions of every user.
Seed = Callable[[AsyncSession, Sequence[str]], Awaitable[None]]
# Creates demo data in an empty database; returns what to print for the developer.
Demo = Callable[[AsyncSession, Settings], Awaitable[str]]


# The settings of all features, by class.
Kinds = Mapping[type[FeatureSettings], FeatureSettings]
# A context for each customer, in which to act for that customer.
Customers = Callable[[AsyncSession], Awaitable[Sequence[AbstractContextManager[None]]]]


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
    customers: Customers | None = None
    queue: Callable[[Settings, Kinds], type[Queue] | None] | None = None
    """The default of `JOB_QUEUE` with these settings."""
    settings: tuple[type[FeatureSettings], ...] = ()
    seed: Seed | None = None
    demo: Demo | None = None
    cli: Typer | None = None
