"""Command line."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from typer import Argument, BadParameter, Option, Typer, echo

from app.core.db.embedded import ensure_database
from app.core.db.session import connect, unit_of_work
from app.core.settings import get_settings
from app.features.jobs import repository, service
from app.features.jobs.schemas import JobRead

cli = Typer(name="jobs", no_args_is_help=True, help="Inspect and retry jobs.")
Result = TypeVar("Result")
Limit = Annotated[int, Option(help="Maximum number of jobs.", min=1, max=10_000)]


async def in_transaction(act: Callable[[AsyncSession], Awaitable[Result]]) -> Result:
    """Run `act` in a transaction on the configured database."""
    with ensure_database(get_settings()) as settings:
        async with connect(settings, {}) as database, unit_of_work(database) as session:
            return await act(session)


@cli.command()
def failed(limit: Limit = 100) -> None:
    """List dead jobs, newest first."""
    for run in asyncio.run(in_transaction(lambda session: repository.dead(session, limit))):
        echo(f"{run.id}  {run.finished_at:%Y-%m-%d %H:%M:%S}  {run.name}  {run.error}")


@cli.command()
def show(job_id: UUID) -> None:
    """Show one job."""
    run = asyncio.run(in_transaction(lambda session: service.get(session, job_id)))
    echo(JobRead.model_validate(run).model_dump_json(indent=2))


@cli.command()
def retry(
    job_ids: Annotated[list[UUID] | None, Argument(help="Ids of the jobs.")] = None,
    *,
    every: Annotated[bool, Option("--all", help="All dead jobs.")] = False,
    limit: Limit = 1000,
) -> None:
    """Retry dead jobs."""
    if bool(job_ids) == every:
        raise BadParameter("name the jobs, or use --all")

    async def revive(session: AsyncSession) -> int:
        if every:
            return len(await service.retry_all(session, limit))
        return len([await service.retry(session, job_id) for job_id in job_ids or []])

    echo(f"{asyncio.run(in_transaction(revive))} queued for retry")
