"""The job table: outbox, run record and dead letters in one."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db.resource import Record


class JobState(StrEnum):
    """The state of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"


class JobRun(Record):
    """One enqueued job."""

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("unique_key", name="uq_jobs_unique_key"),
        Index("ix_jobs_name_due_at", "name", "due_at"),
        Index("ix_jobs_state", "state", "finished_at", "due_at"),
        Index("ix_jobs_created_at", "created_at", "id"),
        Index("ix_jobs_finished_at", "finished_at", "id"),
    )

    name: Mapped[str] = mapped_column(String(128))
    queue: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16), default=JobState.QUEUED)
    arguments: Mapped[dict[str, Any]]
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime | None]
    """When to run it; while it runs, when its lease expires; then null."""
    claim: Mapped[UUID | None]
    """The claim of the current attempt: work under any other is rolled back."""
    nudged_at: Mapped[datetime | None]
    """When its queue was last notified."""
    finished_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(String(1000))
    """Why the last attempt failed."""
    unique_key: Mapped[str | None] = mapped_column(String(64))
    unique_until: Mapped[datetime | None]
    actor: Mapped[dict[str, Any] | None]
    correlation_id: Mapped[str | None] = mapped_column(String(64))
    trace_context: Mapped[str | None] = mapped_column(String(64))
    """The span that enqueued it, if requests are traced, as a `traceparent` (W3C Trace Context)."""
