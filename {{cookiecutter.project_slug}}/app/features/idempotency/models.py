"""Tables."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db.resource import Record


class IdempotencyKey(Record):
    """A request that is executed once."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        UniqueConstraint("key", name="uq_idempotency_keys_key"),
        Index("ix_idempotency_keys_created_at", "created_at", "id"),
    )
    from_primary = True

    key: Mapped[str] = mapped_column(String(64))
    """A digest of the client's key, the caller, the customer and the operation."""
    request: Mapped[str] = mapped_column(String(64))
    """A digest of what was requested."""
    claim: Mapped[UUID]
    """Identifies the current execution: the work of any other is rolled back."""
    leased_until: Mapped[datetime]
    """When another request may take over, unless there is a response."""
    answer: Mapped[dict[str, Any] | None]
    """The response, encrypted."""
