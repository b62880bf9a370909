"""What the adapters for HTTP APIs have in common."""

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from app.core.jobs import JobError
from app.core.mail import Mail, Undeliverable
from app.core.outbound import Destination, Outbound
from app.core.settings import Settings

if TYPE_CHECKING:
    from httpx2 import Response

TOO_LARGE = 413
HINTS = {401: ": check MAIL_API_KEY", 403: ": check the rights of MAIL_API_KEY, and MAIL_FROM"}


class ApiRefused(JobError):
    """The API accepts no mail as the service is configured; this one is sent once it does."""


class ApiMailer(ABC):
    """Sends each mail with one request, which is not repeated unless it was never received: the job is."""

    for_development: ClassVar[bool] = False
    key_form: ClassVar[re.Pattern[str]]
    """What MAIL_API_KEY looks like."""

    def __init__(self, settings: Settings, outbound: Outbound) -> None:
        self.sender = settings.mail_from
        self.url = settings.mail_api_url
        self.key = settings.mail_api_key.get_secret_value()
        self.outbound = outbound

    async def send(self, mail: Mail) -> None:
        """Send one mail."""
        destination = Destination(name="mail", base_url=self.url)
        response = await self.request(destination, mail)
        status = response.status_code
        if status == TOO_LARGE or self.refuses(response):
            raise Undeliverable(f"refused with {status}")
        if not response.is_success:
            raise ApiRefused(f"the mail API answered {status}{HINTS.get(status, '')}")

    @abstractmethod
    async def request(self, destination: Destination, mail: Mail) -> "Response":
        """Make the request for a mail."""

    @abstractmethod
    def refuses(self, response: "Response") -> bool:
        """Whether it refuses this very mail, so that sending it again could not help."""
