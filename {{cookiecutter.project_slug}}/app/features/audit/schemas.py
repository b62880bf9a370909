"""Requests and responses."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from app.core.carriers import RecordRead
from app.core.pagination import ListQuery, SortableBy
from app.core.schemas import Instant, Line
from app.features.audit.models import AuditEvent


class AuditQuery(ListQuery):
    """Filters for audit events."""

    sort: Annotated[str, SortableBy(AuditEvent.created_at)] = "-created_at"
    action: Line | None = Field(None, max_length=64)
    object_type: Line | None = Field(None, max_length=64)
    object_id: UUID | None = None
    actor_id: UUID | None = None
    since: Instant | None = Field(None, description="At or after this time")
    until: Instant | None = Field(None, description="Before this time")


class AuditEventRead(RecordRead):
    """An audit event."""

    action: str
    object_type: str
    object_id: UUID | None
    actor_id: UUID | None
    session_id: UUID | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    address: str | None
