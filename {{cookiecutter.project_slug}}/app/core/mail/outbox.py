"""Sending mail from within a transaction."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.jobs import GiveUp, job
from app.core.jobs.outbox import enqueue
from app.core.jobs.work import Work
from app.core.mail import Mail, Undeliverable


async def send(session: AsyncSession, mail: Mail) -> None:
    """Send the mail once `session` is committed; a rollback discards it."""
    await enqueue(
        session,
        deliver,
        to=mail.to,
        subject=mail.subject,
        text=mail.text,
        html=mail.html,
        command=mail.command,
    )


@job("mail.deliver", queue="mail", retries=8, backoff=timedelta(seconds=10), secret=True)
async def deliver(
    work: Work, *, to: str, subject: str, text: str, html: str, command: str = ""
) -> None:
    """Send one mail; if the process dies at that moment, it may be sent twice."""
    mailer = work.settings.mailer(work.settings, work.service.outbound)
    try:
        await mailer.send(Mail(to, subject, text, html, command))
    except Undeliverable as refused:
        raise GiveUp(str(refused)) from refused
