"""Background jobs."""

from typing import Any, ClassVar

import strawberry
from strawberry import relay

from app.core.routing import SERVICE
from app.core.security.access import Can
from app.features.graphql.context import Info
from app.features.graphql.fields import field
from app.features.graphql.nodes import Identified, one, uuid_of
from app.features.graphql.pages import connection
from app.features.graphql.schemas import filters, shows
from app.features.jobs import repository, schemas, service
from app.features.jobs.permissions import JobPermission

read_jobs, retry_jobs = Can(JobPermission.READ), Can(JobPermission.RETRY)


@shows(schemas.JobRead)
class Job(Identified):
    access: ClassVar[Any] = read_jobs
    get = service.get


@filters(schemas.JobQuery)
class JobFilter: ...


@strawberry.type
class Query:
    job = one(Job, "Get a job.")
    jobs = connection(
        Job,
        schemas.JobQuery,
        repository.page,
        access=read_jobs,
        about=SERVICE,
        filters=JobFilter,
        description="List jobs, newest first by default.",
    )


@strawberry.type
class Mutation:
    @field(retry_jobs, SERVICE)
    async def retry_job(self, info: Info, id: relay.GlobalID) -> Job:
        """Retry a dead job."""
        async with info.context.unit_of_work() as session:
            return Job.of(await service.retry(session, uuid_of(Job, id)))
