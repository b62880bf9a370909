"""The service of a process, as requests, sessions and jobs access it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar, cast

import structlog
from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from app.core.changes import Changes
from app.core.db.carried import SERVICE
from app.core.db.following import Follow
from app.core.db.session import Database, after_commit
from app.core.draining import Draining
from app.core.errors import Unavailable, is_expected
from app.core.events import Event, Listener, Listeners
from app.core.feature import Customers, Feature, Kinds
from app.core.jobs import Jobs, Queue
from app.core.observers import Observer
from app.core.outbound import Outbound
from app.core.resources import Resource
from app.core.security.principal import Admit, Narrow, Scheme
from app.core.settings import FeatureSettings, Settings
from app.core.telemetry import Telemetry

log = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")
Kind = TypeVar("Kind", bound=FeatureSettings)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Service:
    """Composed in `app/service.py`; two services in one process share nothing."""

    features: tuple[Feature, ...]
    settings: Settings
    configured: Kinds
    """The settings of the features, by class."""
    keys: Sequence[str]
    """The key that signs and encrypts, then those that are still accepted."""
    jobs: Jobs
    queue: Queue
    database: Database
    outbound: Outbound
    listeners: Listeners
    schemes: Sequence[Scheme]
    narrowing: Sequence[Narrow]
    admissions: Sequence[Admit]
    customers: Customers
    draining: Draining = field(default_factory=Draining)
    telemetry: Sequence[Telemetry] = ()
    outages: Changes = field(default_factory=Changes)
    """Those that were reported."""
    opened: dict[Resource[Any], Any] = field(default_factory=dict[Resource[Any], Any])
    observers: list[Observer] = field(default_factory=list[Observer])
    """Only where requests are served."""

    @property
    def following(self) -> list[Follow]:
        """What follows the statements of its databases."""
        return [each.statements for each in self.telemetry if each.statements]

    def report(self, error: Exception, where: str, *, secret: bool = False) -> None:
        """Hand an error that is no failure of a client's to what collects errors; of an outage one a minute."""
        if is_expected(error):
            return
        if not isinstance(error, Unavailable) or self.outages.are_news((type(error), where)):
            for each in self.telemetry:
                if each.report:
                    each.report(error, where, secret=secret)

    def of(self, kind: type[Kind]) -> Kind:
        """The settings of a feature."""
        return cast("Kind", self.configured[kind])

    def resource(self, resource: Resource[T]) -> T:
        """An open resource of a feature."""
        try:
            return self.opened[resource]
        except KeyError:
            raise RuntimeError(
                f"{resource.name} is not open: list it in the feature's `resources`, and open the"
                " service with `running` from app/service.py"
            ) from None


def service_of(session: AsyncSession | Database) -> Service:
    """The service that opened the session, or the database."""
    try:
        return session.info[SERVICE]
    except KeyError:
        raise RuntimeError(
            "this session belongs to no service: open it from `service.database`, where `service`"
            " comes from `running` in app/service.py"
        ) from None


def settings_of(session: AsyncSession, kind: type[Kind]) -> Kind:
    """The settings of a feature, in the service that opened the session."""
    return service_of(session).of(kind)


async def publish(session: AsyncSession, event: Event) -> None:
    """Notify every listener; one that fails rolls back the whole transaction."""
    service = service_of(session)
    for listener in service.listeners.of(event):
        if listener.after_commit:
            after_commit(session, notify_later(service, listener, event))
        else:
            await listener.handle(session, event)


def notify_later(service: Service, listener: Listener, event: Event) -> Any:  # noqa: ANN401
    """The callback for after the commit: a failure is only logged, as nothing can be rolled back."""

    async def notify() -> None:
        try:
            await listener.handle(service, event)
        except Exception as error:
            log.exception("listener_failed", event_name=event.name)
            service.report(error, f"listener to {event.name}")

    return notify


def service_at(connection: HTTPConnection) -> Service:
    """The service that handles a request or a WebSocket."""
    return connection.scope["state"]["service"]


async def get_service(connection: HTTPConnection) -> Service:
    """The same, as a dependency."""
    return service_at(connection)


ServiceDep = Annotated[Service, Depends(get_service)]
