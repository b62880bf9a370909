"""A feature observes the service, and nothing under `app/core` knows this one."""

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from app.core.carriers import CARRIERS, described
from app.core.carrying import Carrier
from app.core.db.session import Database, unit_of_work
from app.core.feature import Feature
from app.core.jobs import Job
from app.core.jobs.outbox import enqueue
from app.core.jobs.runner import run_due
from app.core.service import publish
from app.core.settings import Settings
from app.core.telemetry import Telemetry
from app.installed import FEATURES
from app.main import create_app
from app.service import running
from conftest import client_over, make_account
from tests import observed
from tests.inline import InlineQueue
from tests.probe import Probed, probe_feature

URL = "/api/v1/observed"


@dataclass
class Seen:
    """What was observed."""

    statements: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    attempts: list[tuple[str, int, str]] = field(default_factory=list[tuple[str, int, str]])
    reports: list[tuple[str, str, bool]] = field(default_factory=list[tuple[str, str, bool]])
    opened: list[bool] = field(default_factory=list[bool])

    @contextmanager
    def follow(self, system: str, sql: str) -> Generator[None]:
        try:
            yield
        except Exception as error:
            self.statements.append((sql, type(error).__name__))
            raise
        self.statements.append((sql, "ok"))

    @contextmanager
    def attempt(self, job: Job[...], run_id: UUID, number: int) -> Generator[Callable[[str], None]]:
        yield lambda outcome: self.attempts.append((job.name, number, outcome))

    def report(self, error: Exception, where: str, *, secret: bool) -> None:
        self.reports.append((where, type(error).__name__, secret))

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        self.opened.append(True)
        yield
        self.opened.append(False)

    def outcomes(self, part: str) -> list[str]:
        return [outcome for sql, outcome in self.statements if part in sql]


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def features(seen: Seen) -> list[Feature]:
    """All, and one that observes them."""
    variable = ContextVar("room", default="lobby")
    carrier = Carrier(
        variable=variable, resume=lambda _: "engine", describe=lambda value: {"room": value}
    )
    telemetry = Telemetry(
        open=seen.open,
        carriers=(carrier,),
        statements=seen.follow,
        attempts=seen.attempt,
        report=seen.report,
    )
    observing = Feature(telemetry=lambda settings, configured: telemetry)
    absent = Feature(telemetry=lambda settings, configured: None)
    return [*FEATURES, probe_feature(), observed.feature, observing, absent]


async def test_every_statement_is_followed_however_it_is_executed(
    seen: Seen, features: list[Feature], committed_db: Database, settings: Settings
) -> None:
    app = create_app(settings, features)
    async with running(settings, work=False, features=features) as service:
        async with client_over(app, service) as client:
            await client.get(f"{URL}/users?email=ada@example.com")
            await client.post(f"{URL}/broken")
        assert not service.database.reads.watched

    assert seen.outcomes("count(*)") == ["ok"]
    (broken,) = seen.outcomes("nowhere")
    assert broken != "ok"


async def test_attempts_of_jobs_are_followed_and_what_they_raise_is_reported(
    seen: Seen, features: list[Feature], committed_db: Database, settings: Settings
) -> None:
    async with running(settings, work=False, features=features) as service:
        async with unit_of_work(service.database) as session:
            await enqueue(session, observed.fail, secret="hunter2")
        await run_due(service)
        assert described()["room"] == "lobby"
        assert seen.opened == [True]

    assert ("observed.fail", 1, "dead") in seen.attempts
    assert seen.reports == [("job observed.fail", "RuntimeError", True)]
    assert seen.opened == [True, False]
    assert "room" not in described()
    assert len(CARRIERS) == len({id(each) for each in CARRIERS})


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/things/{number}", "ValueError"),
        ("GET", "/stream", "ValueError"),
        ("POST", "/things/{number}?kind=conflict", None),
        ("GET", "/slow", "TooSlow"),
    ],
)
async def test_an_error_is_reported_once_by_its_endpoint(
    seen: Seen,
    features: list[Feature],
    committed_db: Database,
    settings: Settings,
    method: str,
    path: str,
    kind: str | None,
) -> None:
    if kind == "TooSlow":
        settings = settings.model_copy(update={"request_timeout": 0.5})
    app = create_app(settings, features)
    async with (
        running(settings, work=False, features=features) as service,
        client_over(app, service) as client,
    ):
        await make_account(service.database, client, "ada@example.com", "member")
        await client.request(method, URL + path.format(number=1), json={})

    endpoint = f"{method} {URL}{path.partition('?')[0]}"
    assert seen.reports == ([(endpoint, kind, False)] if kind else [])


async def test_neither_probes_nor_each_request_of_an_outage_are_reported(
    seen: Seen, features: list[Feature], committed_db: Database, settings: Settings
) -> None:
    settings = settings.model_copy(update={"request_timeout": 0.2})
    app = create_app(settings, features)
    async with (
        running(settings, work=False, features=features) as service,
        client_over(app, service) as client,
    ):
        service.draining.begun = True
        assert (await client.get("/health/ready")).status_code == 503
        for _ in range(3):
            assert (await client.get(f"{URL}/slow")).status_code == 503

    assert seen.reports == [(f"GET {URL}/slow", "TooSlow", False)]


async def test_a_listener_that_fails_after_the_commit_is_reported(
    seen: Seen, features: list[Feature], committed_db: Database, settings: Settings
) -> None:
    queue = InlineQueue(settings, {})
    async with (
        running(settings, work=False, features=features, queue=queue) as service,
        unit_of_work(service.database) as session,
    ):
        await publish(session, Probed(text="broken"))

    assert seen.reports == [("listener to probe.probed", "RuntimeError", False)]
