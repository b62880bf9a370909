"""Mail goes out after the commit, through a real SMTP server, and never into the log."""

import asyncio
import logging
import re
import socket
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from email import message_from_bytes
from email.message import Message

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from httpx2 import AsyncClient
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.db.session import Database, from_engine, reading, unit_of_work
from app.core.errors import Conflict
from app.core.jobs.models import JobRun
from app.core.jobs.runner import run_due
from app.core.mail import Mail
from app.core.mail.console import ConsoleMailer
from app.core.mail.outbox import send
from app.core.mail.smtp import SMTPMailer
from app.core.settings import Environment, Settings
from app.installed import JOBS
from app.main import create_app, session_info
from conftest import PASSWORD, client_of
from tests.inline import InlineQueue, make_due

LETTER = Mail("ada@example.com", "Hello", "Hello.\n", "<p>Hello.</p>\n")


class Postbox:
    """Keeps what the server takes in."""

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


def always(mailer: SMTPMailer) -> Callable[[Settings], SMTPMailer]:
    """For settings in which this mailer is the one."""
    return lambda settings: mailer


async def test_from_registration_to_login_through_a_real_server(
    mailer: SMTPMailer,
    postbox: Postbox,
    committed_db: object,
    engine: AsyncEngine,
    settings: Settings,
) -> None:
    changes = {"mailer": always(mailer), "environment": Environment.LOCAL}
    through = settings.model_copy(update=changes)
    database = from_engine(engine, through, session_info(through, InlineQueue(through, JOBS)))
    new = {"email": "ada@example.com", "password": PASSWORD}
    async with client_of(create_app(through), database, through) as client:
        await client.post("/api/v1/auth/register", json=new)
        mail = postbox.mails[0]
        assert mail["To"] == "ada@example.com"
        assert mail["From"] == settings.mail_from
        assert [part.get_content_type() for part in mail.walk()][1:] == ["text/plain", "text/html"]
        found = re.search(
            r"#token=([\w-]+)", mail.as_string().replace("=3D", "=").replace("=\n", "")
        )
        assert found
        assert "curl" not in mail.as_string()

        proof = {"token": found[1], "password": PASSWORD}
        form = {"username": new["email"], "password": PASSWORD}
        assert (await client.post("/api/v1/auth/verify-email", json=proof)).status_code == 204
        assert (await client.post("/api/v1/auth/login", data=form)).status_code == 200


async def test_a_letter_of_a_failed_request_is_not_sent(
    committed_db: Database, queue: InlineQueue, sent: list[Mail]
) -> None:
    with pytest.raises(Conflict):
        async with unit_of_work(committed_db) as session:
            await send(session, LETTER)
            raise Conflict("no")
    await queue.run(committed_db)
    assert sent == []
    async with unit_of_work(committed_db) as session:
        await send(session, LETTER)
    await queue.run(committed_db)
    assert sent == [LETTER]


async def test_a_letter_waits_for_a_server_that_is_away_and_nobody_can_read_it(
    committed_db: Database,
    settings: Settings,
    sent: list[Mail],
    caplog: pytest.LogCaptureFixture,
) -> None:
    letter = Mail("ada@example.com", "Reset", "the secret link", "the secret link")
    away = settings.model_copy(
        update={"smtp_url": SecretStr("smtp://127.0.0.1:9"), "mailer": SMTPMailer}
    )
    async with unit_of_work(committed_db) as session:
        await send(session, letter)

    await run_due(committed_db, away, JOBS)

    async with reading(committed_db) as session:
        run = (await session.scalars(select(JobRun))).one()
    assert (run.state, run.attempts, run.error) == ("queued", 1, "SMTPConnectError")
    seen = caplog.text + str([getattr(run, column.key) for column in JobRun.__table__.columns])
    assert "job_failed" in seen
    assert "secret link" not in seen
    assert "ada@example.com" not in seen

    await make_due(committed_db)
    await run_due(committed_db, settings, JOBS)
    assert sent == [letter]
    async with reading(committed_db) as session:
        run = (await session.scalars(select(JobRun))).one()
    assert (run.state, run.arguments) == ("done", {})


async def test_a_letter_that_is_refused_for_good_is_not_sent_again(
    committed_db: Database, mailer: SMTPMailer, postbox: Postbox, settings: Settings
) -> None:
    postbox.refuses = "550 no such user"
    through = settings.model_copy(update={"mailer": always(mailer)})
    async with unit_of_work(committed_db) as session:
        await send(session, LETTER)

    await run_due(committed_db, through, JOBS)

    async with reading(committed_db) as session:
        run = (await session.scalars(select(JobRun))).one()
    assert (run.state, run.attempts, run.error) == ("dead", 1, "GiveUp: refused with 550")


async def test_the_console_shows_the_whole_letter(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    await ConsoleMailer(settings).send(LETTER)

    assert "To: ada@example.com" in capsys.readouterr().out


async def test_the_console_shows_the_command_too(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    await ConsoleMailer(settings).send(replace(LETTER, command="curl it"))

    assert capsys.readouterr().out.endswith("in another terminal:\n\ncurl it\n\n")


@pytest.mark.parametrize("environment", Environment)
async def test_a_command_is_made_for_developers_only(
    client: AsyncClient, queue: InlineQueue, sent: list[Mail], environment: Environment
) -> None:
    queue.settings = queue.settings.model_copy(update={"environment": environment})

    await client.post(
        "/api/v1/auth/register", json={"email": "ada@example.com", "password": PASSWORD}
    )

    assert ("/api/v1/auth/verify-email" in sent[0].command) == (environment is Environment.LOCAL)


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
