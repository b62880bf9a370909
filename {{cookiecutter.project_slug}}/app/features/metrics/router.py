"""The endpoint that Prometheus scrapes."""

from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.responses import Response

from app.core.db.session import DatabaseDep
from app.core.routing import router as new_router
from app.core.security.access import public
from app.core.settings import SettingsDep
from app.features.metrics import service

router = new_router("/metrics", tag="metrics", prefix="")
Presented = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


@router.get(
    "",
    dependencies=[public],
    include_in_schema=False,
)
async def read_metrics(
    database: DatabaseDep, settings: SettingsDep, presented: Presented
) -> Response:
    """Metrics in the Prometheus text format."""
    service.require_token(settings, presented.credentials if presented else None)
    return Response(await service.exposition(database), media_type=service.MEDIA_TYPE)
