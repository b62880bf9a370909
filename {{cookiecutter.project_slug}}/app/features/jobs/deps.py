"""Dependencies of endpoints."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends

from app.core.db.session import ReadSessionDep
from app.core.jobs.models import JobRun
from app.features.jobs import service


async def get_job(session: ReadSessionDep, job_id: UUID) -> JobRun:
    """The job that the path names."""
    return await service.get(session, job_id)


JobOr404 = Annotated[JobRun, Depends(get_job, scope="function")]
