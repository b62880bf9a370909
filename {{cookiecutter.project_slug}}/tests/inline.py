"""Jobs and mail for tests: run at once, and kept in a list."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, TypeVar, TypeVarTuple, cast
from uuid import UUID

from sqlalchemy import Row, Select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.util import greenlet_spawn

from app.core.db.base import utc_now
from app.core.db.carried import SERVICE
from app.core.db.prepared import Prepared, Reads
from app.core.db.session import Database, from_engine, unit_of_work
from app.core.feature import Feature
from app.core.jobs import Jobs, Queue
from app.core.jobs.models import JobRun
from app.core.jobs.runner import run_due
from app.core.mail import Mail
from app.core.service import Service
from app.core.settings import FeatureSettings, Settings
from app.features.cache import memory
from app.features.cache.service import Cache, caching
from app.features.cache.store import Store
from app.features.health.service import Watch, watching
from app.features.limits.service import Limiter, limiting
from app.features.limits.settings import LimitSettings
from app.features.limits.windows import Memory
from app.installed import FEATURES, JOBS, SETTINGS
from app.seed import seed
from app.service import compose, running, telemetry_of
from tests.databases import NO_FILE

SENT: list[Mail] = []
# The settings of features, which a test may change.
CONFIGURED: dict[type[FeatureSettings], FeatureSettings] = {
    kind: kind(**NO_FILE) for kind in SETTINGS if kind is not Settings
}
# One caller makes all requests of a test, and its attempts to sign in.
RATES = LimitSettings.model_fields.keys() - {"concurrent", "closed", "per_process"}
UNLIMITED: dict[str, Any] = dict.fromkeys(RATES, ())
CONFIGURED[LimitSettings] = LimitSettings(**NO_FILE, **UNLIMITED)
T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Kind = TypeVar("Kind", bound=FeatureSettings)


def configured(kind: type[Kind]) -> Kind:
    """The settings of a feature that every service of the tests has."""
    return cast("Kind", CONFIGURED[kind])


def service_over(
    database: Database,
    settings: Settings,
    queue: Queue | None = None,
    features: Sequence[Feature] = FEATURES,
) -> Service:
    """The service over these sessions; jobs run as soon as a request has ended."""
    queue = queue or InlineQueue(settings, JOBS)
    service = compose(
        settings,
        database,
        queue=queue,
        configured=CONFIGURED,
        features=features,
        telemetry=telemetry_of(settings, CONFIGURED, features),
    )
    service.opened[watching] = Watch()
    service.opened[limiting] = Limiter(configured(LimitSettings), Memory(), "tests")
    service.opened[caching] = Cache(Store(memory.Memory(1000), "tests"))
    return service


def opening(settings: Settings) -> Callable[[], AbstractAsyncContextManager[Service]]:
    """What the command `app` gives to the commands of features."""
    return partial(running, settings, work=False)


class ReadsWithin(Reads):
    """Executes prepared statements on the connection of these sessions, in their transaction."""

    def __init__(self, reads: Reads, sessions: async_sessionmaker[AsyncSession]) -> None:
        super().__init__(reads.engine)
        self.reads = reads
        self.sessions = sessions

    async def rows(self, statement: Select[*Ts], values: Mapping[str, Any]) -> Sequence[Row[*Ts]]:
        statement, values = self.reads.within(statement, values)
        async with self.sessions() as session:
            connection = await session.connection()
            if self.reads.watched:
                return (await connection.execute(statement, values)).all()
            driver = await connection.get_raw_connection()
            prepared = cast("Prepared[*Ts]", self.reads.prepared(statement))
            arguments = prepared.arguments(values)
            self.reads.check(cast("Prepared[*tuple[Any, ...]]", prepared), arguments)
            return await greenlet_spawn(prepared.read, driver, arguments)


async def in_service(settings: Settings, act: Callable[[Service], Awaitable[T]]) -> T:
    """Do it as a command does."""
    async with running(settings, work=False) as service:
        return await act(service)


async def filled(settings: Settings, features: Sequence[Feature] = FEATURES) -> None:
    """Make what the service needs in a migrated database."""
    async with running(settings, work=False, features=features) as service:
        await seed(service)


async def make_due(database: Database) -> None:
    """Make the retries due."""
    async with unit_of_work(database) as session:
        waiting = update(JobRun).where(JobRun.due_at.is_not(None))
        await session.execute(waiting.values(due_at=utc_now()))


def serving(database: Database, **changes: Any) -> Service:  # noqa: ANN401, fields of `Service`
    """The service that these sessions carry, with something else in it for once."""
    return replace(database.info[SERVICE], database=database, **changes)


class RecordingMailer:
    """Keeps each mail instead of sending it."""

    for_development: ClassVar[bool] = True

    def __init__(self, settings: object, outbound: object) -> None:
        pass

    async def send(self, mail: Mail) -> None:
        SENT.append(mail)


class InlineQueue:
    """Runs enqueued jobs when `run` is called, in the same process."""

    def __init__(self, settings: Settings, jobs: Jobs, configured: object = None) -> None:
        self.nudges: list[tuple[UUID, str]] = []

    def nudge(self, runs: Sequence[tuple[UUID, str]]) -> None:
        self.nudges += runs

    @asynccontextmanager
    async def working(self, service: object) -> AsyncGenerator[None]:
        yield

    async def check(self) -> dict[str, str]:
        return {}

    async def run(self, service: Service) -> None:
        """Run everything that is due, and what it enqueues."""
        while self.nudges:
            self.nudges.clear()
            await run_due(service)


def database_of(
    engine: AsyncEngine,
    settings: Settings,
    queue: Queue | None = None,
    features: Sequence[Feature] = FEATURES,
) -> Database:
    """Production sessions over this engine, in a service."""
    return service_over(from_engine(engine, settings), settings, queue, features).database
