"""Endpoints."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends
from sqlalchemy import Row

from app.core.db.session import DatabaseDep, SessionDep
from app.core.jobs.models import JobRun
from app.core.openapi import problems
from app.core.pagination import Found, Page
from app.core.routing import SERVICE, router as new_router
from app.core.security.access import Can
from app.features.jobs import repository, service
from app.features.jobs.deps import JobOr404
from app.features.jobs.permissions import JobPermission
from app.features.jobs.schemas import JobQuery, JobRead

router = new_router("/jobs", tag="jobs", about=SERVICE)


@router.get("", response_model=Page[JobRead], dependencies=[Can(JobPermission.READ)])
async def list_jobs(
    database: DatabaseDep, query: Annotated[JobQuery, Depends(JobQuery.requested)]
) -> Found[Row[Any]]:
    """List jobs, newest first by default."""
    return await repository.page(database, query)


@router.get(
    "/{job_id}",
    response_model=JobRead,
    dependencies=[Can(JobPermission.READ)],
    responses=problems({404: "No such id"}),
)
async def get_job(run: JobOr404) -> JobRun:
    """Get a job."""
    return run


@router.post(
    "/{job_id}/retry",
    status_code=202,
    response_model=JobRead,
    dependencies=[Can(JobPermission.RETRY)],
    responses=problems({404: "No such id", 409: "The job is not dead"}),
)
async def retry_job(session: SessionDep, job_id: UUID) -> JobRun:
    """Retry a dead job."""
    return await service.retry(session, job_id)
