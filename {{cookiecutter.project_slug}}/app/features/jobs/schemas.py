"""Requests and responses."""

from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from app.core.carriers import RecordRead
from app.core.jobs.models import JobRun, JobState
from app.core.listing import Equal, In
from app.core.pagination import ListQuery, SortableBy
from app.core.queries import Several
from app.core.schemas import Line


class JobQuery(ListQuery):
    """Filters for jobs."""

    sort: Annotated[str, SortableBy(JobRun.created_at, JobRun.finished_at)] = "-created_at"
    state: Annotated[Several[JobState] | None, In(JobRun.state)] = Field(
        None, description="Jobs in any of these states; can be repeated"
    )
    name: Annotated[Line | None, Equal(JobRun.name)] = Field(
        None, max_length=128, examples=["mail.deliver"]
    )
    queue: Annotated[Line | None, Equal(JobRun.queue)] = Field(
        None, max_length=64, examples=["default"]
    )


class JobRead(RecordRead):
    """A job, and the outcome of its last attempt."""

    name: str
    queue: str
    state: JobState
    arguments: dict[str, Any] = Field(description="Encrypted if the job is secret")
    attempts: int
    due_at: AwareDatetime | None = Field(
        description="When it is due or, while it is running, when its lease expires"
    )
    finished_at: AwareDatetime | None
    error: str | None
