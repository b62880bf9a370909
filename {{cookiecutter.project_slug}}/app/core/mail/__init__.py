"""Mail: what features call, and what an adapter offers."""

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from app.core.schemas import UNSAFE

NOT_IN_A_SUBJECT = re.compile(rf"[\s{UNSAFE}]+")


class Undeliverable(Exception):
    """The letter was refused, and would be again."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to one address, as plain text and as HTML; the subject is made one line."""

    to: str
    subject: str
    text: str
    html: str
    command: str = ""
    """What does for a developer what the link does; shown on the console, and never sent."""

    def __post_init__(self) -> None:
        subject = NOT_IN_A_SUBJECT.sub(" ", self.subject).strip()
        object.__setattr__(self, "subject", subject)


class Mailer(Protocol):
    """An adapter: it is made with the settings, and sends."""

    for_development: ClassVar[bool]

    def __init__(self, settings: Any) -> None: ...  # noqa: ANN401, the settings import this module

    async def send(self, mail: Mail) -> None:
        """Hand the letter over; raise when that failed, `Undeliverable` when it always will."""
        ...
