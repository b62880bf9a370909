"""Mail goes out after the commit, through a real SMTP server, and never into the log."""

import asyncio
import logging
import re
import socket
from collections.abc import AsyncGenerator
from email import message_from_bytes
from email.message import Message

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from httpx2 import AsyncClient
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.db.session import from_engine, unit_of_work
from app.core.errors import Conflict
from app.core.mail import Mail, Postman
from app.core.mail.console import ConsoleMailer
from app.core.mail.outbox import send
from app.core.mail.smtp import SMTPMailer
from app.core.settings import Settings
from app.main import create_app, session_info
from conftest import PASSWORD, client_of

LETTER = Mail("ada@example.com", "Hello", "Hello.\n", "<p>Hello.</p>\n")


class Postbox:
    """Keeps what the server takes in."""

    def __init__(self) -> None:
        self.mails: list[Message] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content))
        return "250 taken"


@pytest.fixture
def postbox() -> Postbox:
    """What was delivered."""
    return Postbox()


@pytest.fixture
async def mailer(postbox: Postbox, settings: Settings) -> AsyncGenerator[SMTPMailer]:
    """A mailer that speaks to a real server on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(postbox, hostname="127.0.0.1", port=port)
    controller.start()
    url = SecretStr(f"smtp://127.0.0.1:{port}")
    yield SMTPMailer(settings.model_copy(update={"smtp_url": url}))
    controller.stop()


async def test_from_registration_to_login_through_a_real_server(
    mailer: SMTPMailer,
    postbox: Postbox,
    committed_db: object,
    engine: AsyncEngine,
    settings: Settings,
) -> None:
    postman = Postman(mailer)
    database = from_engine(engine, settings, session_info(settings, postman.post))
    new = {"email": "ada@example.com", "password": PASSWORD}
    async with client_of(create_app(settings), database, settings) as client:
        await client.post("/api/v1/auth/register", json=new)
        await postman.finish(10)
        mail = postbox.mails[0]
        assert mail["To"] == "ada@example.com"
        assert mail["From"] == settings.mail_from
        assert [part.get_content_type() for part in mail.walk()][1:] == ["text/plain", "text/html"]
        found = re.search(
            r"#token=([\w-]+)", mail.as_string().replace("=3D", "=").replace("=\n", "")
        )
        assert found

        proof = {"token": found[1], "password": PASSWORD}
        form = {"username": new["email"], "password": PASSWORD}
        assert (await client.post("/api/v1/auth/verify-email", json=proof)).status_code == 204
        assert (await client.post("/api/v1/auth/login", data=form)).status_code == 200


async def test_a_letter_of_a_failed_request_is_not_sent(
    engine: AsyncEngine, settings: Settings
) -> None:
    sent: list[Mail] = []
    database = from_engine(engine, settings, session_info(settings, sent.append))

    with pytest.raises(Conflict):
        async with unit_of_work(database) as session:
            send(session, LETTER)
            raise Conflict("no")
    assert sent == []
    async with unit_of_work(database) as session:
        send(session, LETTER)
        assert sent == []
    assert sent == [LETTER]


async def test_a_server_that_is_away_is_in_the_log_and_the_letter_is_not(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    away = settings.model_copy(update={"smtp_url": SecretStr("smtp://127.0.0.1:9")})
    postman = Postman(SMTPMailer(away))

    postman.post(Mail("ada@example.com", "Reset", "the secret link", "the secret link"))
    await postman.finish(10)

    assert "mail_not_sent" in caplog.text
    assert "secret link" not in caplog.text
    assert "ada@example.com" not in caplog.text


async def test_the_console_shows_the_whole_letter(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    await ConsoleMailer(settings).send(LETTER)

    assert "To: ada@example.com" in capsys.readouterr().out


async def test_no_secret_gets_into_the_log(
    client: AsyncClient, sent: list[Mail], caplog: pytest.LogCaptureFixture
) -> None:
    """Everything an account goes through, with every library as talkative as it can be."""
    caplog.set_level(logging.DEBUG)
    email, new_password = "ada@example.com", "an entirely new password"
    auth = "/api/v1/auth"
    secrets: list[str] = [PASSWORD, new_password, email]

    async def token() -> str:
        await asyncio.sleep(0)
        found = re.search(r"#token=([\w-]+)", sent[-1].text)
        assert found
        secrets.append(found[1])
        return found[1]

    await client.post(f"{auth}/register", json={"email": email, "password": PASSWORD})
    proof = {"token": await token(), "password": PASSWORD}
    await client.post(f"{auth}/verify-email", json=proof)
    form = {"username": email, "password": PASSWORD}
    tokens = (await client.post(f"{auth}/login", data=form)).json()
    secrets += [tokens["access_token"], tokens["refresh_token"]]
    tokens = (
        await client.post(f"{auth}/refresh", json={"refresh_token": tokens["refresh_token"]})
    ).json()
    secrets += [tokens["access_token"], tokens["refresh_token"]]
    await client.post(f"{auth}/login", data=form | {"password": "wrong " + PASSWORD})
    await client.post(
        f"{auth}/register", json={"email": email, "password": PASSWORD, "x": PASSWORD}
    )
    await client.post(f"{auth}/forgot-password", json={"email": email})
    reset = {"token": await token(), "password": new_password}
    assert (await client.post(f"{auth}/reset-password", json=reset)).status_code == 204

    assert "request" in caplog.text
    for secret in secrets:
        assert secret not in caplog.text
