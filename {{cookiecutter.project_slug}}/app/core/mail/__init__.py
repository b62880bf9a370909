"""Mail: the message, and the port that adapters implement."""

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from app.core.schemas import UNSAFE

NOT_IN_A_SUBJECT = re.compile(rf"[\s{UNSAFE}]+")


class Undeliverable(Exception):
    """The mail was refused permanently."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to one address, as plain text and HTML; the subject is folded into one line."""

    to: str
    subject: str
    text: str
    html: str
    command: str = ""
    """A command that does what the link does, for developers; shown on the console, never sent."""

    def __post_init__(self) -> None:
        subject = NOT_IN_A_SUBJECT.sub(" ", self.subject).strip()
        object.__setattr__(self, "subject", subject)


class Mailer(Protocol):
    """A mail adapter, constructed with the settings."""

    for_development: ClassVar[bool]

    def __init__(self, settings: Any) -> None: ...  # noqa: ANN401, the settings import this module

    async def send(self, mail: Mail) -> None:
        """Send a mail; raise on failure, `Undeliverable` if it is permanent."""
        ...
