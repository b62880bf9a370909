"""Mail: the message, and the port that adapters implement."""

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from app.core.outbound import Outbound
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
    """A mail adapter, constructed with the settings, and with what calls other services."""

    for_development: ClassVar[bool]

    def __init__(self, settings: Any, outbound: Outbound) -> None: ...  # noqa: ANN401, they import this module

    async def send(self, mail: Mail) -> None:
        """Send a mail; raise on failure, `Undeliverable` if it is permanent."""
        ...


def lacks_key(settings: Any) -> bool:  # noqa: ANN401, likewise
    """Whether mail goes through an HTTP API, but no address is set, or no key of its form."""
    form: re.Pattern[str] | None = getattr(settings.mailer, "key_form", None)
    key = settings.mail_api_key.get_secret_value()
    return form is not None and not (settings.mail_api_url and form.fullmatch(key))
