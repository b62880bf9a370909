"""Background jobs."""

from app.core.db.session import Database, unit_of_work
from app.core.jobs import HOUSEKEEPING, job
from app.core.jobs.outbox import enqueue
from app.core.jobs.purge import purge
from app.core.jobs.schedule import cron
from app.core.jobs.work import Work
from app.core.security import passwords
from app.core.service import service_of
from app.features import limits
from app.features.auth import accounts, repository
from app.features.auth.schemas import Registration
from app.features.auth.settings import AuthSettings


async def ask_to_register(database: Database, new: Registration) -> None:
    """Check and hash the password; a job does the rest, including whether the address is free.

    It takes the same time for every address, and holds no connection while hashing.
    """
    passwords.check(new.password, new.email)
    await limits.attempt_mail(service_of(database), "register", new.email)
    password_hash = await passwords.hash_password(new.password)
    async with unit_of_work(database) as session:
        await enqueue(
            session,
            register,
            email=new.email,
            password_hash=password_hash,
            full_name=new.full_name,
        )


async def ask_for_reset(database: Database, email: str) -> None:
    """Have a job find out whether there is such an account."""
    await limits.attempt_mail(service_of(database), "reset", email)
    async with unit_of_work(database) as session:
        await enqueue(session, forgot_password, email=email)


@job("auth.register", secret=True)
async def register(work: Work, *, email: str, password_hash: str, full_name: str) -> None:
    """Create an account, or remind its owner that it exists."""
    await accounts.register(work.session, work.settings, email, password_hash, full_name)


@job("auth.forgot_password", secret=True)
async def forgot_password(work: Work, *, email: str) -> None:
    """Mail a password-reset token, if the account exists."""
    await accounts.forgot_password(work.session, work.settings, email)


@job("auth.purge", queue=HOUSEKEEPING, schedule=cron("17 1 * * *"))
async def purge_sessions(work: Work) -> None:
    """Delete sessions and mailed tokens that expired long ago, a batch at a time."""
    for model, condition in repository.outlived(work.service.of(AuthSettings).expired_days):
        if await purge(work.session, model, condition):
            await enqueue(work.session, purge_sessions)
            return
