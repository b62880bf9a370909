"""Whether a request is served now: decided when it is known who asks, before its body is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from starlette.requests import HTTPConnection
from starlette.types import Scope

from app.core.errors import Failure
from app.core.security.principal import Principal
from app.core.service import Service

KEY = "app.admission"
READING = {"GET", "HEAD", "OPTIONS"}
WRITE = 5
"""What a request that may write counts, and one that only reads is 1."""


@dataclass(slots=True)
class Admission:
    """What is known of a request so far."""

    weight: int
    counted: bool = False
    subjects: dict[str, UUID] = field(default_factory=dict[str, UUID])
    """Whom it counts against, by kind; none for an unknown caller."""
    refusal: Failure | None = None


def admission_of(scope: Scope) -> Admission:
    """The decision, which copies of the scope share."""
    found: Admission | None = scope.get(KEY)
    if found is None:
        weight = 1 if scope.get("method", "GET") in READING else WRITE
        found = scope[KEY] = Admission(weight)
    return found


async def admit(connection: HTTPConnection, principal: Principal | None) -> None:
    """Let the features refuse the request of this caller; each subject is counted once."""
    admission = admission_of(connection.scope)
    subjects: Mapping[str, UUID] = principal.subjects() if principal else {}
    new = {kind: key for kind, key in subjects.items() if kind not in admission.subjects}
    if not admission.refusal and (new or not admission.counted):
        admission.counted = True
        admission.subjects.update(new)
        await count(connection, new, admission.weight)
    if admission.refusal:
        raise admission.refusal


async def reprice(connection: HTTPConnection, weight: int) -> None:
    """Count the rest of a request that turned out to weigh so much."""
    admission = admission_of(connection.scope)
    more, admission.weight = weight - admission.weight, weight
    if more > 0:
        await count(connection, admission.subjects, more)
    if admission.refusal:
        raise admission.refusal


async def count(connection: HTTPConnection, subjects: Mapping[str, UUID], weight: int) -> None:
    """Ask the features, of which an application that was not started has none."""
    service: Service | None = connection.scope.get("state", {}).get("service")
    try:
        for each in service.admissions if service else ():
            await each(connection, subjects, weight)
    except Failure as refusal:
        admission_of(connection.scope).refusal = refusal
