"""The composition root: the service is assembled here, once per process."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.carriers import also
from app.core.db.embedded import ensure_database
from app.core.db.replicas import replicated
from app.core.db.session import Database, connect
from app.core.draining import Draining
from app.core.events import Listeners
from app.core.feature import Feature, Kinds
from app.core.jobs import Queue
from app.core.jobs.local import LocalQueue
from app.core.outbound import Outbound
from app.core.security.keys import signing_keys
from app.core.service import Service
from app.core.settings import Settings
from app.core.telemetry import Telemetry
from app.installed import FEATURES, jobs_of, settings_of


async def everyone(session: AsyncSession) -> Sequence[nullcontext[None]]:
    """Without a feature that separates customers, what is done for each customer is done once."""
    return [nullcontext()]


def configured_for(features: Sequence[Feature] = FEATURES) -> Kinds:
    """The settings of these features, from the environment."""
    return {kind: kind() for kind in settings_of(features) if kind is not Settings}


def telemetry_of(
    settings: Settings, configured: Kinds, features: Sequence[Feature] = FEATURES
) -> Sequence[Telemetry]:
    """What observes a service with these settings."""
    made = [each.telemetry(settings, configured) for each in features if each.telemetry]
    return [each for each in made if each]


def compose(
    settings: Settings,
    database: Database,
    *,
    features: Sequence[Feature] = FEATURES,
    configured: Kinds | None = None,
    queue: Queue | None = None,
    draining: Draining | None = None,
    telemetry: Sequence[Telemetry] = (),
) -> Service:
    """A service on this database, whose sessions refer to it; whatever is not given is created."""
    configured = configured or configured_for(features)
    jobs = jobs_of(features)
    chosen = [feature.queue(settings, configured) for feature in features if feature.queue]
    make_queue = next(filter(None, [settings.job_queue, *chosen]), LocalQueue)
    service = Service(
        features=tuple(features),
        settings=settings,
        configured=configured,
        keys=signing_keys(settings),
        jobs=jobs,
        queue=queue or make_queue(settings, jobs, configured),
        database=database,
        outbound=Outbound(
            deployed=settings.deployed,
            watches=[each.outbound for each in telemetry if each.outbound],
        ),
        listeners=Listeners(each for feature in features for each in feature.listeners),
        schemes=[each for feature in features for each in feature.schemes],
        narrowing=[each for feature in features for each in feature.narrowing],
        admissions=[each for feature in features for each in feature.admissions],
        customers=next((f.customers for f in features if f.customers), everyone),
        draining=draining or Draining(),
        telemetry=telemetry,
    )
    database.carry(service)
    return service


@asynccontextmanager
async def running(
    settings: Settings,
    *,
    work: bool,
    features: Sequence[Feature] = FEATURES,
    configured: Kinds | None = None,
    queue: Queue | None = None,
    draining: Draining | None = None,
    telemetry: Sequence[Telemetry] | None = None,
) -> AsyncGenerator[Service]:
    """Open the service, and close it at the end.

    With `work` it waits for an unreachable database, logs why, and runs jobs, as long-running
    processes do; a command does neither, and fails at once.
    """
    configured = configured or configured_for(features)
    if telemetry is None:
        telemetry = telemetry_of(settings, configured, features)
    async with AsyncExitStack() as stack:
        for each in telemetry:
            stack.enter_context(also(each.carriers))
            await stack.enter_async_context(each.open())
        complete = stack.enter_context(ensure_database(settings))
        database = await stack.enter_async_context(connect(complete, patient=work, log=work))
        database = await stack.enter_async_context(replicated(database, complete))
        service = compose(
            complete,
            database,
            features=features,
            configured=configured,
            queue=queue,
            draining=draining,
            telemetry=telemetry,
        )
        stack.push_async_callback(service.outbound.close)
        for resource in (each for feature in features for each in feature.resources):
            service.opened[resource] = await stack.enter_async_context(resource.open(service))
        if work:
            await stack.enter_async_context(service.queue.working(service))
        yield service


@asynccontextmanager
async def observed(service: Service) -> AsyncGenerator[None]:
    """Let the features see every request that is served meanwhile."""
    async with AsyncExitStack() as stack:
        for observing in (each.observer for each in service.features if each.observer):
            if observer := await stack.enter_async_context(observing(service)):
                service.observers.append(observer)
        yield
