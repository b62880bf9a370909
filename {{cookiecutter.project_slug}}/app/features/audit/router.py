"""Endpoints."""

from typing import Annotated, Any

from fastapi import Depends
from sqlalchemy import Row

from app.core.db.session import DatabaseDep
from app.core.pagination import Found, Page
from app.core.routing import SERVICE, router as new_router
from app.core.security.access import Can
from app.features.audit import repository
from app.features.audit.permissions import AuditPermission
from app.features.audit.schemas import AuditEventRead, AuditQuery

router = new_router("/audit-events", tag="audit", about=SERVICE)


@router.get("", response_model=Page[AuditEventRead], dependencies=[Can(AuditPermission.READ)])
async def list_audit_events(
    database: DatabaseDep, query: Annotated[AuditQuery, Depends(AuditQuery.requested)]
) -> Found[Row[Any]]:
    """List audit events, newest first by default."""
    return await repository.page(database, query)
