"""Mail through the API of SendGrid, version 3, or one of its shape."""

import re
from email.utils import parseaddr
from typing import TYPE_CHECKING, ClassVar

from app.core.mail import Mail
from app.core.mail.api import ApiMailer
from app.core.outbound import Destination

if TYPE_CHECKING:
    from httpx2 import Response

PATH = "/v3/mail/send"
BAD_REQUEST = 400
RECIPIENT = re.compile(rb'"field"\s*:\s*"personalizations')


class SendGridMailer(ApiMailer):
    """`MAIL_API_URL` is such as https://api.sendgrid.com, and the key is a bearer token."""

    key_form: ClassVar[re.Pattern[str]] = re.compile(r"[!-~]{16,}")

    async def request(self, destination: Destination, mail: Mail) -> "Response":
        """Make the request for a mail."""
        name, address = parseaddr(self.sender)
        parts = {"text/plain": mail.text, "text/html": mail.html}
        message = {
            "personalizations": [{"to": [{"email": mail.to}]}],
            "from": {"email": address} | ({"name": name} if name else {}),
            "subject": mail.subject,
            "content": [{"type": kind, "value": text} for kind, text in parts.items()],
        }
        headers = {"Authorization": f"Bearer {self.key}"}
        return await self.outbound.call(destination, "POST", PATH, headers=headers, json=message)

    def refuses(self, response: "Response") -> bool:
        """Whether an error is about the recipient."""
        bad = response.status_code == BAD_REQUEST
        return bad and RECIPIENT.search(response.content) is not None
