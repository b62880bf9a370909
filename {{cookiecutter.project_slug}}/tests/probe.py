"""A test-only feature that uses everything a feature can declare."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from fastapi import APIRouter, WebSocket
from fastapi.security import APIKeyHeader
from pydantic_settings import SettingsConfigDict
from sqlalchemy import Row, bindparam, select
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.core.context import actor
from app.core.db.session import SessionDep, reading
from app.core.errors import Unauthorized
from app.core.events import Event, Listener
from app.core.feature import Feature, RequestHeader
from app.core.jobs import job
from app.core.jobs.schedule import every
from app.core.jobs.work import Work
from app.core.mail import Mail
from app.core.mail.outbox import send as send_mail
from app.core.resources import Resource
from app.core.routing import CUSTOMER, SERVICE, Mount, router as new_router
from app.core.security.access import Can, CurrentPrincipal
from app.core.security.principal import Principal, Question, Scheme
from app.core.service import Service, ServiceDep, publish, settings_of
from app.core.settings import FeatureSettings
from app.features.audit.service import record
from app.features.users.models import Role, User, UserRole


class ProbePermission(StrEnum):
    """Permissions on probes."""

    READ = "probes:read"
    WRITE = "probes:write"


class ProbeSettings(FeatureSettings):
    """Settings, `PROBE_...`."""

    model_config = SettingsConfigDict(env_prefix="PROBE_")

    mail_to: str = "probe@example.com"
    unsafe: bool = False

    def faults(self) -> list[str]:
        return ["PROBE_UNSAFE is on: switch it off"] if self.unsafe else []


class Probed(Event):
    """A probe was made."""

    name: ClassVar[str] = "probe.probed"
    version: ClassVar[int] = 2

    text: str


class Line:
    """A resource that the feature keeps open."""

    def __init__(self) -> None:
        self.state = "ok"
        self.heard: list[str] = []
        self.closed = False


@asynccontextmanager
async def open_line(service: Service) -> AsyncGenerator[Line]:
    line = Line()
    try:
        yield line
    finally:
        line.closed = True


async def check_line(line: Line) -> str:
    return line.state


LINE = Resource("line", open_line, check_line)


async def note(session: Any, event: Event) -> None:  # noqa: ANN401
    """Record every event."""
    record(session, f"heard.{event.name}", "event", None, after=event.model_dump(mode="json"))


async def mail(session: Any, event: Probed) -> None:  # noqa: ANN401
    to = settings_of(session, ProbeSettings).mail_to
    await send_mail(session, Mail(to, "Probed", event.text, f"<p>{event.text}</p>"))


async def tell(service: Service, event: Probed) -> None:
    """Runs after the commit."""
    if event.text == "broken":
        raise RuntimeError(event.text)
    async with reading(service.database) as session:
        await session.scalar(select(1))
    service.resource(LINE).heard.append(event.text)


class WrongKey(Unauthorized):
    """The key is not one of ours."""

    def __init__(self) -> None:
        super().__init__("The key is not valid.")


async def ask(connection: HTTPConnection) -> Question | None:
    """Authenticate by the id of a user as the key; for tests only."""
    key = connection.headers.get("X-Probe-Key")
    if key is None:
        return None
    try:
        user_id = UUID(key)
    except ValueError:
        raise WrongKey from None

    def answer(rows: Sequence[Row[Any]]) -> Principal:
        if not rows:
            raise WrongKey
        names = frozenset(name for row in rows for name in row[0] or ())
        return Principal(user_id=user_id, permissions=names)

    statement = (
        select(Role.permissions)
        .select_from(User)
        .outerjoin(UserRole, UserRole.user_id == User.id)
        .outerjoin(Role, Role.id == UserRole.role_id)
        .where(User.id == bindparam("user_id"), User.is_active)
    )
    return Question(statement, {"user_id": user_id}, answer)


probes = new_router("/probes", tag="probes", about=SERVICE)
customers = new_router("/customer-probes", tag="probes", about=CUSTOMER)


@probes.post("", status_code=204, dependencies=[Can(ProbePermission.WRITE)])
async def probe(session: SessionDep, text: str) -> None:
    """Make a probe."""
    await publish(session, Probed(text=text))


@probes.get("/me")
async def me(principal: CurrentPrincipal, service: ServiceDep) -> dict[str, str | None]:
    """Show the caller."""
    service.resource(LINE)
    return {"id": str(principal.user_id), "via": actor.get().via}


@customers.post("", status_code=204, dependencies=[Can(ProbePermission.WRITE)])
async def probe_for_a_customer(session: SessionDep) -> None:
    """Probe on behalf of a customer."""
    await publish(session, Probed(text="for a customer"))


@probes.websocket("/live")
async def live(socket: WebSocket, principal: CurrentPrincipal) -> None:
    """Send the id of the caller."""
    await socket.accept()
    await socket.send_text(str(principal.user_id))
    await socket.close()


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """An ASGI application of its own."""
    service: Service = scope["state"]["service"]
    await PlainTextResponse(service.resource(LINE).state)(scope, receive, send)


@job("probe.sweep", schedule=every(minutes=1), each_customer=True)
async def sweep(work: Work) -> None:
    """Runs once for each customer."""
    await publish(work.session, Probed(text="swept"))
    work.service.resource(LINE)


FACE: dict[str, Any] = {
    "mounts": (Mount("/probe-app", application, Can(ProbePermission.READ), SERVICE),),
    "events": (Probed,),
    "listeners": (
        Listener(Event, note),
        Listener(Probed, mail),
        Listener(Probed, tell, after_commit=True),
    ),
    "jobs": (sweep,),
    "permissions": (ProbePermission,),
    "member_permissions": (ProbePermission.READ,),
    "schemes": (Scheme(name="ProbeKey", described=APIKeyHeader(name="X-Probe-Key"), ask=ask),),
    "headers": (RequestHeader("X-Probe", "Accepted and ignored", {"type": "string"}),),
    "refusals": {402: "No probes are left"},
    "resources": (LINE,),
    "settings": (ProbeSettings,),
}


def probe_feature(**more: Any) -> Feature:  # noqa: ANN401
    """The probe feature; `more` fills further slots."""
    router = APIRouter()
    router.include_router(probes)
    router.include_router(customers)
    return Feature(router=router, **FACE, **more)
