"""Whether a request is served now: decided once for each, when it is known who asks."""

from dataclasses import dataclass

from starlette.requests import HTTPConnection
from starlette.types import Scope

from app.core.errors import Failure
from app.core.security.principal import Principal
from app.core.service import service_at

KEY = "app.admission"
READING = {"GET", "HEAD", "OPTIONS"}
WRITE = 5
"""What a request that may write counts, and one that only reads is 1."""


@dataclass(slots=True)
class Admission:
    """The decision about a request."""

    weight: int
    decided: bool = False
    refusal: Failure | None = None


def admission_of(scope: Scope) -> Admission:
    """The decision, which copies of the scope share."""
    found: Admission | None = scope.get(KEY)
    if found is None:
        weight = 1 if scope.get("method", "GET") in READING else WRITE
        found = scope[KEY] = Admission(weight)
    return found


async def admit(connection: HTTPConnection, principal: Principal | None) -> None:
    """Let the features refuse the request of this caller, before anything else of it is done."""
    admission = admission_of(connection.scope)
    if not admission.decided:
        admission.decided = True
        try:
            for each in service_at(connection).admissions:
                await each(connection, principal, admission.weight)
        except Failure as refusal:
            admission.refusal = refusal
    if admission.refusal:
        raise admission.refusal
