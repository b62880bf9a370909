"""What one folder under `app/features` gives the service."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from fastapi import APIRouter
from pydantic_settings import BaseSettings
from sqlalchemy.ext.asyncio import AsyncSession
from typer import Typer

from app.core.db.base import Base
from app.core.events import Listener
from app.core.jobs import Job
from app.core.security.access import Authenticate
from app.core.settings import Settings

# Makes rows that the service needs, where they are missing; told what everybody may do.
Seed = Callable[[AsyncSession, Sequence[str]], Awaitable[None]]
# Makes what a developer can try the service out with, while there is nothing; what to tell them.
Demo = Callable[[AsyncSession, Settings], Awaitable[str]]


@dataclass(frozen=True, kw_only=True)
class Feature:
    """The face of a feature: everything that the entry points need to know of it.

    `member_permissions` are given to everybody who registers, and to those who have: by the first
    `app db upgrade`, or `app dev`, that knows the feature.
    `settings` may have a method `faults`, which tells a deployed service what it must not run with.
    """

    router: APIRouter | None = None
    models: tuple[type[Base], ...] = ()
    listeners: tuple[Listener, ...] = ()
    jobs: tuple[Job[...], ...] = ()
    permissions: tuple[type[StrEnum], ...] = ()
    member_permissions: tuple[StrEnum, ...] = ()
    authenticate: Authenticate | None = None
    settings: tuple[type[BaseSettings], ...] = ()
    seed: Seed | None = None
    demo: Demo | None = None
    cli: Typer | None = None
