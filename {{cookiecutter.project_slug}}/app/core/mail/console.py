"""Mail on the developer's console."""

import sys
from typing import Any, ClassVar

from app.core.mail import Mail
from app.core.outbound import Outbound


class ConsoleMailer:
    """Prints each mail instead of sending it."""

    for_development: ClassVar[bool] = True

    def __init__(self, settings: Any, outbound: Outbound) -> None:  # noqa: ANN401, it needs none
        pass

    async def send(self, mail: Mail) -> None:
        """Print; not a log line, because mails carry tokens."""
        sys.stdout.write(f"\nTo: {mail.to}\nSubject: {mail.subject}\n\n{mail.text}\n")
        if mail.command:
            sys.stdout.write(
                f"Or, without that page, run in another terminal:\n\n{mail.command}\n\n"
            )
        sys.stdout.flush()
