"""Mail: what features call, and what an adapter offers."""

import asyncio
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import structlog

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Mail:
    """One letter to one address, as plain text and as HTML."""

    to: str
    subject: str
    text: str
    html: str


class Mailer(Protocol):
    """An adapter: it is made with the settings, and sends."""

    for_development: ClassVar[bool]

    def __init__(self, settings: Any) -> None: ...  # noqa: ANN401, the settings import this module

    async def send(self, mail: Mail) -> None:
        """Hand the letter over; raise when that failed."""
        ...


class Postman:
    """Carries letters in the background, so that no answer waits for, or tells of, a mail server."""

    def __init__(self, mailer: Mailer) -> None:
        self.mailer = mailer
        self.under_way: set[asyncio.Task[None]] = set()

    def post(self, mail: Mail) -> None:
        """Send soon."""
        task = asyncio.create_task(self.carry(mail))
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)

    async def carry(self, mail: Mail) -> None:
        """Send; a failure is for the log, without the letter."""
        try:
            await self.mailer.send(mail)
        except Exception:
            log.exception("mail_not_sent", subject=mail.subject)

    async def finish(self, timeout: float) -> None:  # noqa: ASYNC109, a deadline for many
        """Wait until all letters have gone, at most `timeout` seconds."""
        if self.under_way:
            await asyncio.wait(self.under_way, timeout=timeout)
