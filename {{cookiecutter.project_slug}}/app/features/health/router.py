"""Probes for an orchestrator."""

from app.core.openapi import problems
from app.core.routing import SERVICE, router as new_router
from app.core.security.access import public
from app.core.service import ServiceDep
from app.features.health import service as health
from app.features.health.schemas import Alive, Ready

router = new_router("/health", tag="health", about=SERVICE, prefix="")


@router.get("/live", dependencies=[public])
async def live() -> Alive:
    """Whether the process answers; if not, restart it."""
    return Alive()


@router.get(
    "/ready",
    dependencies=[public],
    responses=problems({503: "A dependency is away; `checks` names it"}),
)
async def ready(service: ServiceDep) -> Ready:
    """Whether the service can do its work; if not, send requests elsewhere."""
    return await health.readiness(service)
