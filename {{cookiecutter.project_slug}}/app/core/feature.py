"""What one folder under `app/features` gives the service."""

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
from app.core.security.principal import Narrow, Scheme
from app.core.settings import FeatureSettings, Settings

# Makes rows that the service needs, where they are missing; told what everybody may do.
Seed = Callable[[AsyncSession, Sequence[str]], Awaitable[None]]
# Makes what a developer can try the service out with, while there is nothing; what to tell them.
Demo = Callable[[AsyncSession, Settings], Awaitable[str]]


# The settings of all features, by their class.
Kinds = Mapping[type[FeatureSettings], FeatureSettings]
# For each customer, what to do something within.
Customers = Callable[[AsyncSession], Awaitable[Sequence[AbstractContextManager[None]]]]


@dataclass(frozen=True, slots=True)
class RequestHeader:
    """A header that authenticated requests may carry: browsers may send it, and OpenAPI shows it."""

    name: str
    description: str
    schema: Mapping[str, object]


@dataclass(frozen=True, kw_only=True, eq=False)
class Feature:
    """The face of a feature: everything that the service needs to know of it."""

    router: APIRouter | None = None
    mounts: tuple[Mount, ...] = ()
    """ASGI applications of their own."""
    models: tuple[type[Base], ...] = ()
    migrations: tuple[Step, ...] = ()
    events: tuple[type[Event], ...] = ()
    listeners: tuple[Listener, ...] = ()
    jobs: tuple[Job[...], ...] = ()
    permissions: tuple[type[StrEnum], ...] = ()
    member_permissions: tuple[StrEnum, ...] = ()
    """Given to every user who registers, and once to those who have: by the first `app db upgrade`, or
    `app dev`, that knows the feature."""
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenant_permissions: Mapping[str, tuple[StrEnum, ...]] = field(
        default_factory=dict[str, tuple[StrEnum, ...]]
    )
    """What each role within a tenant may do there, by the name of the role."""
    # {% endif %}
    schemes: tuple[Scheme, ...] = ()
    narrowing: tuple[Narrow, ...] = ()
    """What authentication does next, such as to find the customer for whom the caller acts."""
    headers: tuple[RequestHeader, ...] = ()
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
