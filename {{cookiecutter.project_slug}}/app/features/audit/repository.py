"""All SQL of the audit log."""

from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.session import Database
from app.core.listing import Listing
from app.core.pagination import Found
from app.features.audit.models import AuditEvent
from app.features.audit.schemas import AuditQuery

EVENTS = Listing(AuditQuery, AuditEvent)


async def page(reader: Database | AsyncSession, query: AuditQuery) -> Found[Row[Any]]:
    """Matching events, newest first by default."""
    return await EVENTS.page(reader, query)
