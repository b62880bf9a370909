"""The endpoint that Prometheus scrapes."""

from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.responses import Response

from app.core.routing import SERVICE, router as new_router
from app.core.security.access import public
from app.core.service import ServiceDep
from app.features.metrics import service as metrics

router = new_router("/metrics", tag="metrics", about=SERVICE, prefix="")
Presented = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


@router.get(
    "",
    dependencies=[public],
    include_in_schema=False,
)
async def read_metrics(service: ServiceDep, presented: Presented) -> Response:
    """Metrics in the Prometheus text format."""
    metrics.require_token(service, presented.credentials if presented else None)
    return Response(await metrics.exposition(service.database), media_type=metrics.MEDIA_TYPE)
