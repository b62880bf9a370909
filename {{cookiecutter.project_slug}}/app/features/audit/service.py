"""Writing and reading the audit log."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.context import actor
from app.core.correlation import correlation_id
from app.core.db.session import after_commit
from app.features.audit.models import AuditEvent

SECRET = ("password", "token", "secret", "hash")
MASK = "***"
EVENTS = Counter(
    "audit_events", "Actions in the audit log, such as auth.logged_in, by name", ["action"]
)


def record(
    session: AsyncSession,
    action: str,
    object_type: str,
    object_id: UUID | None,
    *,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> None:
    """Record an action of the current actor, in the same transaction as the change."""
    who = actor.get()
    after_commit(session, EVENTS.labels(action).inc)
    session.add(
        AuditEvent(
            action=action,
            object_type=object_type,
            object_id=object_id,
            actor_id=who.user_id,
            session_id=who.session_id,
            address=who.address,
            correlation_id=correlation_id.get(),
            before=masked(before),
            after=masked(after),
        )
    )


def masked(values: Mapping[str, object] | None) -> dict[str, Any] | None:
    """The values as JSON, with secrets masked."""
    if values is None:
        return None
    return {
        name: MASK if any(word in name for word in SECRET) else plain(value)
        for name, value in values.items()
    }


def plain(value: object) -> object:
    """Dates and UUIDs as text: JSON has no type for them."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value
