"""Probes for an orchestrator."""

from app.core.openapi import problems
from app.core.routing import SERVICE, router as new_router
from app.core.security.access import uncounted
from app.core.service import ServiceDep
from app.features.health import service as health
from app.features.health.schemas import Alive, Ready

router = new_router("/health", tag="health", about=SERVICE, prefix="", quiet=True)


@router.get("/live", dependencies=[uncounted])
async def live() -> Alive:
    """Liveness probe: the process responds; restart it if it does not."""
    return Alive()


@router.get(
    "/ready",
    dependencies=[uncounted],
    responses=problems({503: "A dependency is unavailable; `checks` names it"}),
)
async def ready(service: ServiceDep) -> Ready:
    """Readiness probe: the service can do its work; send requests elsewhere if not."""
    return await health.readiness(service)
