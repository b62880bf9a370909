"""Probes for an orchestrator."""

from fastapi import Request

from app.core.openapi import problems
from app.core.routing import router as new_router
from app.core.security.access import public
from app.features.health import service
from app.features.health.schemas import Alive, Ready

router = new_router("/health", tag="health", prefix="")


@router.get("/live", dependencies=[public])
async def live() -> Alive:
    """Liveness probe: the process responds; restart it if it does not."""
    return Alive()


@router.get(
    "/ready",
    dependencies=[public],
    responses=problems({503: "A dependency is unavailable; `checks` names it"}),
)
async def ready(request: Request) -> Ready:
    """Readiness probe: the service can do its work; send requests elsewhere if not."""
    return await service.readiness(request.state.database, request.state.queue)
