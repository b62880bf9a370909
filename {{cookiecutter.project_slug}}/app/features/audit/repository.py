"""All SQL of the audit log."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.pagination import Found, paginate
from app.features.audit.models import AuditEvent
from app.features.audit.schemas import AuditQuery


async def page(session: AsyncSession, query: AuditQuery) -> Found[AuditEvent]:
    """Matching events, newest first by default."""
    wanted = query.model_dump(
        include={"action", "object_type", "object_id", "actor_id"}, exclude_none=True
    )
    statement = select(AuditEvent).filter_by(**wanted)
    if query.since is not None:
        statement = statement.where(AuditEvent.created_at >= query.since)
    if query.until is not None:
        statement = statement.where(AuditEvent.created_at < query.until)
    return await paginate(session, statement, query)
