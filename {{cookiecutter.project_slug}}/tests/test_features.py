"""A feature declares whatever it needs: nothing under `app/core` knows this one."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select
from starlette.types import Message

from app.core import configuration
from app.core.db.base import utc_now
from app.core.db.session import Database, reading, unit_of_work
from app.core.db.slots import Slots
from app.core.jobs.models import JobRun
from app.core.jobs.runner import run_due
from app.core.jobs.ticker import Ticker
from app.core.mail import Mail
from app.core.resources import Resource
from app.core.security.access import Can
from app.core.security.mounting import Guarded
from app.core.service import Service, publish, service_of
from app.core.settings import Settings
from app.features.audit.models import AuditEvent
from app.installed import FEATURES
from app.main import create_app
from app.seed import seed
from app.service import running
from conftest import client_over, make_account
from tests.inline import InlineQueue
from tests.probe import (
    LINE,
    Line,
    Probed,
    ProbePermission,
    ProbeSettings,
    application,
    probe_feature,
)
from tests.test_access import assert_declared


@dataclass
class Probing:
    """The service with that feature, and clients of an administrator and a member."""

    app: FastAPI
    service: Service
    admin: AsyncClient
    member: AsyncClient
    admin_id: UUID

    async def actions(self) -> list[str]:
        async with reading(self.service.database) as session:
            heard = select(AuditEvent.action).where(AuditEvent.object_type == "event")
            return list(await session.scalars(heard.order_by(AuditEvent.id)))


@pytest.fixture
async def probing(committed_db: Database, settings: Settings) -> AsyncGenerator[Probing]:
    features = [*FEATURES, probe_feature()]
    queue = InlineQueue(settings, {})
    app = create_app(settings, features)
    async with running(settings, work=False, features=features, queue=queue) as service:
        await seed(service)
        clients = client_over(app, service), client_over(app, service)
        admin = await make_account(service.database, clients[0], "admin@example.com", "admin")
        member = await make_account(service.database, clients[1], "member@example.com", "member")
        yield Probing(app, service, admin.client, member.client, admin.id)


async def test_it_hears_its_own_events_and_those_of_others(
    probing: Probing, sent: list[Mail]
) -> None:
    assert (await probing.admin.post("/api/v1/probes?text=hello")).status_code == 204

    assert await probing.actions() == ["heard.user.created"] * 2 + ["heard.probe.probed"]
    assert [(mail.to, mail.text) for mail in sent] == [("probe@example.com", "hello")]
    assert probing.service.resource(LINE).heard == ["hello"]


async def test_what_fails_after_the_commit_undoes_nothing(
    probing: Probing, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)

    assert (await probing.admin.post("/api/v1/probes?text=broken")).status_code == 204

    assert (await probing.actions())[-1] == "heard.probe.probed"
    assert (
        "{'event_name': 'probe.probed', 'exc_info': True, 'event': 'listener_failed'" in caplog.text
    )


async def test_after_the_commit_a_listener_waits_for_no_connection_of_its_request(
    probing: Probing,
) -> None:
    """With a single connection it still gets one."""
    alone = replace(probing.service.database, slots=Slots(1, 1.0))
    service = replace(probing.service, database=alone)
    alone.carry(service)

    async with unit_of_work(alone) as session:
        await publish(session, Probed(text="alone"))

    assert service.resource(LINE).heard == ["alone"]


async def test_a_listener_sends_mail_from_a_command_too(probing: Probing, sent: list[Mail]) -> None:
    async with unit_of_work(probing.service.database) as session:
        await publish(session, Probed(text="from a command"))
    await run_due(probing.service)

    assert [mail.text for mail in sent] == ["from a command"]


async def test_a_job_runs_for_each_customer_and_its_events_are_heard(
    probing: Probing, sent: list[Mail]
) -> None:
    async with unit_of_work(probing.service.database) as session:
        customers = len(await probing.service.customers(session))
    ours = replace(
        probing.service,
        jobs={name: each for name, each in probing.service.jobs.items() if name != "jobs.purge"},
    )

    await Ticker(ours).fire(utc_now())

    async with reading(probing.service.database) as session:
        asked = (await session.scalars(select(JobRun).filter_by(name="probe.sweep"))).all()
    assert len(asked) % customers == 0  # another minute may have started meanwhile
    await run_due(ours)
    assert len(sent) == len(asked) >= 1
    assert {mail.text for mail in sent} == {"swept"}


async def test_another_scheme_is_tried_after_the_first(probing: Probing) -> None:
    url, key = "/api/v1/probes/me", str(probing.admin_id)
    stranger = client_over(probing.app, probing.service)

    by_token = (await probing.admin.get(url)).json()
    by_key = await stranger.get(url, headers={"X-Probe-Key": key})
    without = await stranger.get(url)
    wrong = await stranger.get(url, headers={"X-Probe-Key": str(uuid4())})
    bad_token = {"X-Probe-Key": key, "Authorization": "Bearer x"}

    assert by_token == {"id": key, "via": "OAuth2PasswordBearer"}
    assert by_key.json() == {"id": key, "via": "ProbeKey"}
    assert (without.status_code, wrong.status_code) == (401, 401)
    assert (await stranger.get(url, headers=bad_token)).status_code == 401
    allowed = await stranger.post("/api/v1/probes?text=x", headers={"X-Probe-Key": key})
    assert allowed.status_code == 204


async def test_who_has_no_session_cannot_end_one(probing: Probing) -> None:
    stranger = client_over(probing.app, probing.service)

    answer = await stranger.post(
        "/api/v1/auth/logout", headers={"X-Probe-Key": str(probing.admin_id)}
    )

    assert answer.status_code == 404
    assert (await probing.admin.get("/api/v1/users/me")).status_code == 200


async def test_the_document_shows_schemes_headers_and_refusals(probing: Probing) -> None:
    document = probing.app.openapi()
    operation = document["paths"]["/api/v1/probes"]["post"]

    schemes = document["components"]["securitySchemes"]
    assert set(schemes) == {"OAuth2PasswordBearer", "ProbeKey"}
    assert schemes["ProbeKey"] == {"type": "apiKey", "in": "header", "name": "X-Probe-Key"}
    assert operation["security"] == [
        {"OAuth2PasswordBearer": ["probes:write"]},
        {"ProbeKey": ["probes:write"]},
    ]
    [header] = [each for each in operation["parameters"] if each["name"] == "X-Probe"]
    assert (header["in"], header["required"]) == ("header", False)
    assert header["description"] == "Accepted and ignored"
    assert operation["responses"]["402"]["description"] == "No probes are left"
    assert "402" not in document["paths"]["/api/v1/auth/login"]["post"]["responses"]


async def test_browsers_may_send_its_header(probing: Probing, settings: Settings) -> None:
    origin = "https://shop.example"
    shop = settings.model_copy(update={"cors_origins": [origin]})
    app = create_app(shop, probing.service.features)
    asking = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "X-Probe",
    }

    answer = await client_over(app, probing.service).options("/api/v1/probes", headers=asking)

    assert answer.status_code == 200


async def test_its_dependency_is_part_of_readiness(probing: Probing) -> None:
    assert (await probing.admin.get("/health/ready")).json()["checks"]["line"] == "ok"

    probing.service.resource(LINE).state = "unreachable"
    ready = await probing.admin.get("/health/ready")

    assert (ready.status_code, ready.json()["checks"]["line"]) == (503, "unreachable")


def test_its_endpoints_sockets_and_mounts_say_who_may_call_them(probing: Probing) -> None:
    assert_declared(probing.app)


async def test_what_it_mounts_lets_in_whom_it_says(probing: Probing) -> None:
    stranger = client_over(probing.app, probing.service)

    assert (await probing.member.get("/probe-app/")).status_code == 200
    refused = await stranger.get("/probe-app/")

    assert refused.status_code == 401
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert (await probing.admin.get("/probe-app/")).text == "ok"


def test_a_mount_says_who_may_call_it() -> None:
    mount = replace(probe_feature().mounts[0], access=ProbePermission.READ)

    with pytest.raises(TypeError, match="/probe-app: set `public`"):
        Guarded(mount)
    guarded = Guarded(replace(mount, access=Can(ProbePermission.READ)))
    assert guarded.mount.app is application
    assert (guarded.public, [*guarded.scopes]) == (False, [ProbePermission.READ])


async def test_a_websocket_authenticates_like_a_request(probing: Probing) -> None:
    token = probing.admin.headers["Authorization"]

    assert await connect(probing, {"Authorization": token}) == [
        "websocket.accept",
        str(probing.admin_id),
        "websocket.close",
    ]
    assert await connect(probing, {"X-Probe-Key": str(probing.admin_id)}) == [
        "websocket.accept",
        str(probing.admin_id),
        "websocket.close",
    ]
    refused = ["websocket.http.response.start", "websocket.http.response.body"]
    assert await connect(probing, {}) == refused
    assert await connect(probing, {}, "/probe-app/") == refused


async def connect(
    probing: Probing, headers: dict[str, str], path: str = "/api/v1/probes/live"
) -> list[str]:
    """The messages that a WebSocket receives."""
    told: list[str] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        told.append(message.get("text") or message["type"])

    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "subprotocols": [],
        "state": {"service": probing.service},
    }
    await probing.app(scope, receive, send)
    return told


def test_its_settings_are_judged_with_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("PROBE_UNSAFE", "true")

    faults = list(configuration.faults([Settings, ProbeSettings]))

    assert faults[-1] == "PROBE_UNSAFE is on: switch it off"
    assert len(faults) > 3


def test_a_setting_may_stand_in_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "probe_mail_to").write_text("file@example.com\n", encoding="utf-8")
    monkeypatch.setenv("SECRETS_DIR", str(folder))
    assert ProbeSettings().mail_to == "file@example.com"

    monkeypatch.setenv("PROBE_MAIL_TO", "variable@example.com")
    assert ProbeSettings().mail_to == "variable@example.com"


async def test_resources_close_in_reverse_also_when_a_later_one_fails(
    committed_db: Database, settings: Settings
) -> None:
    class Broken(Exception):
        pass

    lines: list[Line] = []

    @asynccontextmanager
    async def fail(service: Service) -> AsyncGenerator[None]:
        lines.append(service.resource(LINE))
        raise Broken
        yield

    broken = Resource("broken", fail)
    features = [*FEATURES, probe_feature(), replace(probe_feature(), resources=(broken,))]
    with pytest.raises(Broken):
        async with running(settings, work=False, features=features):
            pass

    assert [line.closed for line in lines] == [True]


async def test_two_services_in_one_process_share_nothing(
    probing: Probing, settings: Settings
) -> None:
    other_settings = settings.model_copy(update={"project_name": "Other", "audience": "other"})
    app = create_app(other_settings)
    async with running(other_settings, work=False) as other:
        client = client_over(app, other)
        token = {"Authorization": probing.admin.headers["Authorization"]}

        assert app.title == "Other"
        assert (await client.get("/api/v1/users/me", headers=token)).status_code == 401
        assert "/api/v1/probes" not in app.openapi()["paths"]
        async with unit_of_work(other.database) as session:
            await publish(session, Probed(text="unheard"))
            assert service_of(session) is other
        with pytest.raises(RuntimeError, match="line is not open"):
            other.resource(LINE)
    assert "heard.probe.probed" not in await probing.actions()


async def test_a_session_of_no_service_says_what_to_do(
    committed_db: Database, settings: Settings
) -> None:
    committed_db.info.pop("service")

    async with committed_db.writer() as session:
        with pytest.raises(RuntimeError, match=r"open it from `service\.database`"):
            await publish(session, Probed(text="x"))
