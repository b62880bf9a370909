"""Command line."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from typer import Argument, BadParameter, Context, Option, Typer, echo

from app.core import commands
from app.core.db.session import unit_of_work
from app.core.service import Service
from app.features.jobs import repository, service
from app.features.jobs.schemas import JobRead

cli = Typer(name="jobs", no_args_is_help=True, help="Inspect and retry jobs.")
Result = TypeVar("Result")
Limit = Annotated[int, Option(help="Maximum number of jobs.", min=1, max=10_000)]


def in_transaction(context: Context, act: Callable[[AsyncSession], Awaitable[Result]]) -> Result:
    """Run `act` in a transaction on the configured database."""

    async def work(opened: Service) -> Result:
        async with unit_of_work(opened.database) as session:
            return await act(session)

    return commands.run(context, work)


@cli.command()
def failed(context: Context, limit: Limit = 100) -> None:
    """List dead jobs, newest first."""
    for run in in_transaction(context, lambda session: repository.dead(session, limit)):
        echo(f"{run.id}  {run.finished_at:%Y-%m-%d %H:%M:%S}  {run.name}  {run.error}")


@cli.command()
def show(context: Context, job_id: UUID) -> None:
    """Show one job."""
    run = in_transaction(context, lambda session: service.get(session, job_id))
    echo(JobRead.model_validate(run).model_dump_json(indent=2))


@cli.command()
def retry(
    context: Context,
    job_ids: Annotated[list[UUID] | None, Argument(help="Ids of the jobs to retry.")] = None,
    *,
    every: Annotated[bool, Option("--all", help="Retry all dead jobs.")] = False,
    limit: Limit = 1000,
) -> None:
    """Retry dead jobs."""
    if bool(job_ids) == every:
        raise BadParameter("name the jobs, or use --all")

    async def revive(session: AsyncSession) -> int:
        if every:
            return len(await service.retry_all(session, limit))
        return len([await service.retry(session, job_id) for job_id in job_ids or []])

    echo(f"{in_transaction(context, revive)} queued for retry")
