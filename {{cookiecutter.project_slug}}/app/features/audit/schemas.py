"""Requests and responses."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from app.core.carriers import RecordRead
from app.core.listing import AtLeast, Before, Equal
from app.core.pagination import ListQuery, SortableBy
from app.core.schemas import Instant, Line
from app.features.audit.models import AuditEvent


class AuditQuery(ListQuery):
    """Filters for audit events."""

    sort: Annotated[str, SortableBy(AuditEvent.created_at)] = "-created_at"
    action: Annotated[Line | None, Equal(AuditEvent.action)] = Field(None, max_length=64)
    object_type: Annotated[Line | None, Equal(AuditEvent.object_type)] = Field(None, max_length=64)
    object_id: Annotated[UUID | None, Equal(AuditEvent.object_id)] = None
    actor_id: Annotated[UUID | None, Equal(AuditEvent.actor_id)] = None
    since: Annotated[Instant | None, AtLeast(AuditEvent.created_at)] = Field(
        None, description="At or after this time"
    )
    until: Annotated[Instant | None, Before(AuditEvent.created_at)] = Field(
        None, description="Before this time"
    )


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
