"""A real SMTP server that keeps what it accepts."""

from collections.abc import Generator
from contextlib import contextmanager
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import SecretStr

from tests.ports import free_port


class Postbox:
    """Keeps what the server accepts."""

    def __init__(self) -> None:
        self.mails: list[Message] = []
        self.refuses = ""

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refuses:
            return self.refuses
        envelope.rcpt_tos.append(address)
        return "250 known"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content))
        return "250 taken"

    @contextmanager
    def serving(self) -> Generator[SecretStr]:
        """Listen on a free port; return its URL."""
        port = free_port()
        controller = Controller(self, hostname="127.0.0.1", port=port)
        controller.start()
        yield SecretStr(f"smtp://127.0.0.1:{port}")
        controller.stop()


def subject_of(mail: Message) -> str:
    """The subject as it is shown."""
    return str(make_header(decode_header(mail["Subject"])))


def text_of(mail: Message) -> str:
    """Its bodies, as they are shown."""
    parts = [part.get_payload(decode=True) for part in mail.walk() if not part.is_multipart()]
    return "".join(part.decode() for part in parts if isinstance(part, bytes))
