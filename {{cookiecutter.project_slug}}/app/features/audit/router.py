"""Endpoints."""

from typing import Annotated

from fastapi import Query

from app.core.db.session import ReadSessionDep
from app.core.pagination import Found, Page
from app.core.routing import SERVICE, router as new_router
from app.core.security.access import Can
from app.features.audit import repository
from app.features.audit.models import AuditEvent
from app.features.audit.permissions import AuditPermission
from app.features.audit.schemas import AuditEventRead, AuditQuery

router = new_router("/audit-events", tag="audit", about=SERVICE)


@router.get("", response_model=Page[AuditEventRead], dependencies=[Can(AuditPermission.READ)])
async def list_audit_events(
    session: ReadSessionDep, query: Annotated[AuditQuery, Query()]
) -> Found[AuditEvent]:
    """List audit events, newest first by default."""
    return await repository.page(session, query)
