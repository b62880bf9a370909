"""Endpoints of the probes."""

from typing import Annotated

from fastapi import Header

from app.core.openapi import problems
from app.core.routing import SERVICE, router as new_router
from app.core.security.access import uncounted
from app.core.service import ServiceDep
from app.features.health import service as health
from app.features.health.schemas import Alive, Ready

router = new_router("/health", tag="health", about=SERVICE, prefix="", quiet=True)
Presented = Annotated[str | None, Header(alias="Authorization", include_in_schema=False)]


@router.get("/live", dependencies=[uncounted])
async def live() -> Alive:
    """Liveness probe: the process responds; restart it if it does not."""
    return Alive()


@router.get(
    "/startup",
    dependencies=[uncounted],
    responses=problems({503: "The service has not been ready yet"}),
)
async def startup(service: ServiceDep) -> Alive:
    """Startup probe: the service has been ready once; use the other probes from then on."""
    return await health.started(service)


@router.get(
    "/ready",
    dependencies=[uncounted],
    response_model_exclude_none=True,
    responses=problems(
        {
            503: "A dependency is unavailable, or the service is stopping; `checks` names the cause"
            " for callers who may see it"
        }
    ),
)
async def ready(service: ServiceDep, presented: Presented = None) -> Ready:
    """Readiness probe: the service can do its work; send requests elsewhere if not."""
    return await health.readiness(service, presented)
