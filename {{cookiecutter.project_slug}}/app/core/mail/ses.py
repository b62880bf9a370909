"""Mail through the API of Amazon SES, version 2, or one of its shape."""

import json
import re
from email.utils import formataddr, parseaddr
from typing import TYPE_CHECKING, ClassVar

from app.core.db.base import utc_now
from app.core.mail import Mail
from app.core.mail.api import ApiMailer
from app.core.mail.signing import Key, signed
from app.core.outbound import Destination

if TYPE_CHECKING:
    from httpx2 import Response

PATH = "/v2/email/outbound-emails"
REGION = re.compile(r"\bemail(?:-fips)?\.([a-z0-9-]+)\.")
# Errors of this mail; others are of the account or the configuration, and are also answered with 400.
PERMANENT = ("BadRequestException", "MessageRejected")
UNVERIFIED = "not verified"
"""MAIL_FROM, or every recipient while the account is in the sandbox, or the region is wrong."""


class SESMailer(ApiMailer):
    """`MAIL_API_URL` is such as https://email.eu-west-1.amazonaws.com, and names the region."""

    key_form: ClassVar[re.Pattern[str]] = re.compile(r"\w{16,128}:[\w/+=]{16,}")
    """The id of the access key, a colon, and the secret access key."""

    async def request(self, destination: Destination, mail: Mail) -> "Response":
        """Make the request for a mail, signed for the next few minutes."""
        content = json.dumps(
            {
                "FromEmailAddress": formataddr(parseaddr(self.sender)),
                "Destination": {"ToAddresses": [mail.to]},
                "Content": {
                    "Simple": {
                        "Subject": data(mail.subject),
                        "Body": {"Text": data(mail.text), "Html": data(mail.html)},
                    }
                },
            }
        ).encode()
        access, _, secret = self.key.partition(":")
        region = REGION.search(self.url)
        key = Key(access, secret, region[1] if region else "us-east-1", "ses")
        headers = {"Content-Type": "application/json"}
        headers = signed(key, "POST", destination.url(PATH), headers, content, utc_now())
        return await self.outbound.call(destination, "POST", PATH, headers=headers, content=content)

    def refuses(self, response: "Response") -> bool:
        """Whether the error is one of the mail."""
        kind = response.headers.get("x-amzn-ErrorType", "").partition(":")[0]
        return kind in PERMANENT and UNVERIFIED not in response.text


def data(text: str) -> dict[str, str]:
    """A part of a mail."""
    return {"Data": text, "Charset": "UTF-8"}
