"""Mail through an SMTP server."""

from email.message import EmailMessage
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from aiosmtplib import SMTPRecipientsRefused, send

from app.core.mail import Mail, Undeliverable
from app.core.outbound import Outbound
from app.core.settings import Settings

TIMEOUT = 30.0  # seconds
PERMANENT = 500  # and above: RFC 5321 §4.2.1


class SMTPMailer:
    """`smtp://` is unencrypted, `smtp+starttls://` upgrades to TLS, `smtps://` starts with it."""

    for_development: ClassVar[bool] = False

    def __init__(self, settings: Settings, outbound: Outbound) -> None:
        self.sender = settings.mail_from
        self.url = urlsplit(settings.smtp_url.get_secret_value())

    async def send(self, mail: Mail) -> None:
        """Send one mail on a connection of its own."""
        message = EmailMessage()
        message["From"] = self.sender
        message["To"] = mail.to
        message["Subject"] = mail.subject
        message.set_content(mail.text)
        message.add_alternative(mail.html, subtype="html")
        try:
            await send(
                message,
                hostname=self.url.hostname,
                port=self.url.port,
                username=unquote(self.url.username) if self.url.username else None,
                password=unquote(self.url.password) if self.url.password else None,
                use_tls=self.url.scheme == "smtps",
                start_tls=self.url.scheme == "smtp+starttls",
                timeout=TIMEOUT,
            )
        except SMTPRecipientsRefused as refused:
            if all(each.code >= PERMANENT for each in refused.recipients):
                raise Undeliverable(f"refused with {refused.recipients[0].code}") from None
            raise
