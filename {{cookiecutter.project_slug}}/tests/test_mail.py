"""Mail is sent after the commit, through a real SMTP server, and never logged."""

import asyncio
import logging
import re
import socket
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from aiosmtplib import SMTPTimeoutError
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core import logging as log
from app.core.db.session import Database, reading, unit_of_work
from app.core.errors import Conflict
from app.core.jobs.models import JobRun
from app.core.jobs.runner import run_due
from app.core.mail import Mail, smtp
from app.core.mail.console import ConsoleMailer
from app.core.mail.outbox import send
from app.core.mail.redemption import Redemption
from app.core.mail.smtp import SMTPMailer
from app.core.mail.templates import MailTemplates
from app.core.outbound import Outbound
from app.core.settings import Environment, LogFormat, Settings
from app.installed import JOBS
from app.main import create_app
from conftest import PASSWORD, client_of
from tests.inline import InlineQueue, database_of, make_due, serving
from tests.postbox import Postbox, subject_of

OUTBOUND = Outbound(deployed=False)
MAIL = Mail("ada@example.com", "Hello", "Hello.\n", "<p>Hello.</p>\n")


@pytest.fixture
def postbox() -> Postbox:
    """What was delivered."""
    return Postbox()


@pytest.fixture
async def mailer(postbox: Postbox, settings: Settings) -> AsyncGenerator[SMTPMailer]:
    """A mailer connected to a real server."""
    with postbox.serving() as url:
        yield SMTPMailer(settings.model_copy(update={"smtp_url": url}), OUTBOUND)


def always(mailer: SMTPMailer) -> Callable[[Settings, Outbound], SMTPMailer]:
    """A factory for settings, which returns this mailer."""
    return lambda settings, outbound: mailer


async def test_from_registration_to_login_through_a_real_server(
    mailer: SMTPMailer,
    postbox: Postbox,
    committed_db: object,
    engine: AsyncEngine,
    settings: Settings,
) -> None:
    changes = {"mailer": always(mailer), "environment": Environment.LOCAL}
    through = settings.model_copy(update=changes)
    database = database_of(engine, through)
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


# What ends a line for some program, or is no character at all for some.
HOSTILE = [
    *"\0\a\b\t\n\v\f\r\x1b\x1c\x1d\x1e\x1f\x7f\x80\x85\x9f\xa0\u2028\u2029\u202e\u2066\ufeff ",
    *("\r\nBcc: eve@example.com", "\n\n<script>", "=?utf-8?q?x?=", "é" * 300, "x" * 1000, "👩‍👩‍👧"),
]


HEADERS = ["From", "To", "Subject", "MIME-Version", "Content-Type"]


async def test_whatever_a_value_holds_the_mail_arrives_and_has_no_other_header(
    mailer: SMTPMailer, postbox: Postbox, tmp_path: Path
) -> None:
    (tmp_path / "hostile.txt").write_text("Hello [[ who ]], hello\n\nTo [[ who ]].\n")
    (tmp_path / "hostile.html").write_text("<p>To [[ who ]].</p>\n")
    templates = MailTemplates(tmp_path)
    for value in HOSTILE:
        await mailer.send(templates.render("hostile", "ada@example.com", who=f"a{value}b"))
        mail = postbox.mails.pop()
        subject = subject_of(mail)
        assert subject == " ".join(subject.split())
        assert subject.startswith("Hello a")
        assert subject.endswith("b, hello")
        assert sorted(mail.keys()) == sorted(HEADERS)
        assert [part.get_content_type() for part in mail.walk()][1:] == ["text/plain", "text/html"]


async def test_a_mail_of_a_failed_request_is_not_sent(
    committed_db: Database, queue: InlineQueue, sent: list[Mail]
) -> None:
    with pytest.raises(Conflict):
        async with unit_of_work(committed_db) as session:
            await send(session, MAIL)
            raise Conflict("no")
    await queue.run(serving(committed_db))
    assert sent == []
    async with unit_of_work(committed_db) as session:
        await send(session, MAIL)
    await queue.run(serving(committed_db))
    assert sent == [MAIL]


async def test_a_mail_waits_for_an_unavailable_server_and_stays_unreadable(
    committed_db: Database,
    settings: Settings,
    sent: list[Mail],
    caplog: pytest.LogCaptureFixture,
) -> None:
    mail = Mail("ada@example.com", "Reset", "the secret link", "the secret link")
    away = settings.model_copy(
        update={"smtp_url": SecretStr("smtp://127.0.0.1:9"), "mailer": SMTPMailer}
    )
    async with unit_of_work(committed_db) as session:
        await send(session, mail)

    await run_due(serving(committed_db, settings=away, jobs=JOBS))

    async with reading(committed_db) as session:
        run = (await session.scalars(select(JobRun))).one()
    assert (run.state, run.attempts, run.error) == ("queued", 1, "SMTPConnectError")
    seen = caplog.text + str([getattr(run, column.key) for column in JobRun.__table__.columns])
    assert "job_failed" in seen
    assert "secret link" not in seen
    assert "ada@example.com" not in seen

    await make_due(committed_db)
    await run_due(serving(committed_db, settings=settings, jobs=JOBS))
    assert sent == [mail]
    async with reading(committed_db) as session:
        run = (await session.scalars(select(JobRun))).one()
    assert (run.state, run.arguments) == ("done", {})


async def test_a_permanently_refused_mail_is_not_sent_again(
    committed_db: Database, mailer: SMTPMailer, postbox: Postbox, settings: Settings
) -> None:
    postbox.refuses = "550 no such user"
    through = settings.model_copy(update={"mailer": always(mailer)})
    async with unit_of_work(committed_db) as session:
        await send(session, MAIL)

    await run_due(serving(committed_db, settings=through, jobs=JOBS))

    async with reading(committed_db) as session:
        run = (await session.scalars(select(JobRun))).one()
    assert (run.state, run.attempts, run.error) == ("dead", 1, "GiveUp: refused with 550")


async def test_the_console_shows_the_whole_mail(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    await ConsoleMailer(settings, OUTBOUND).send(MAIL)

    assert "To: ada@example.com" in capsys.readouterr().out


async def test_the_console_shows_the_command_too(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    await ConsoleMailer(settings, OUTBOUND).send(replace(MAIL, command="curl it"))

    assert capsys.readouterr().out.endswith("in another terminal:\n\ncurl it\n\n")


async def test_a_server_that_does_not_answer_is_not_waited_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "TIMEOUT", 0.05)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = SecretStr(f"smtp://127.0.0.1:{silent.getsockname()[1]}")
        mailer = SMTPMailer(settings.model_copy(update={"smtp_url": url}), OUTBOUND)
        with pytest.raises(SMTPTimeoutError):
            async with asyncio.timeout(5):
                await mailer.send(MAIL)


LOGGED_IN = (
    '-H "Authorization: Bearer $(curl -s https://api.example/api/v1/auth/login'
    " --data-urlencode 'username=o'\"'\"'hara@example.com'"
    " --data-urlencode 'password=<password>'"
    """ | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')\" """
)
BODY = "-H 'Content-Type: application/json' -d '{"


@pytest.mark.parametrize(
    ("needs", "rest"),
    [
        ({}, BODY + """"token": "abc"}'"""),
        ({"takes_password": True}, BODY + """"token": "abc", "password": "<password>"}'"""),
        ({"signed_in": True}, LOGGED_IN + BODY + """"token": "abc"}'"""),
    ],
)
def test_a_command_says_all_that_its_endpoint_needs(
    settings: Settings, needs: dict[str, bool], rest: str
) -> None:
    changes = {"environment": Environment.LOCAL, "service_url": "https://api.example/"}
    redemption = Redemption(page="page", path="/auth/redeem", **needs)

    command = redemption.command(settings.model_copy(update=changes), "abc", "o'hara@example.com")

    assert command == f"curl -i https://api.example/api/v1/auth/redeem {rest}"


@pytest.mark.parametrize("url", ["https://app.example/shop", "https://app.example/shop/"])
def test_a_link_leads_to_the_page_of_the_frontend(settings: Settings, url: str) -> None:
    link = Redemption(page="page", path="/auth/redeem").link(
        settings.model_copy(update={"public_url": url}), "abc"
    )

    assert link == "https://app.example/shop/page#token=abc"


@pytest.mark.parametrize("environment", Environment)
async def test_a_command_is_made_for_developers_only(
    app: FastAPI, database: Database, settings: Settings, sent: list[Mail], environment: Environment
) -> None:
    there = settings.model_copy(update={"environment": environment})
    client = client_of(app, database, there)

    await client.post(
        "/api/v1/auth/register", json={"email": "ada@example.com", "password": PASSWORD}
    )

    if environment is Environment.LOCAL:
        assert "/api/v1/auth/verify-email" in sent[0].command
    else:
        assert sent[0].command == ""


@pytest.mark.parametrize("log_format", [None, *LogFormat])
async def test_no_secret_gets_into_the_log(
    client: AsyncClient,
    settings: Settings,
    sent: list[Mail],
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    log_format: LogFormat | None,
) -> None:
    """The whole life of an account, with every library logging as much as it can; without a format, before it is masked."""
    if log_format:
        changed: dict[str, object] = {"log_format": log_format, "log_level": "DEBUG"}
        log.configure(settings.model_copy(update=changed))
    else:
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

    written = capsys.readouterr().err if log_format else caplog.text
    assert written.count("request") >= 8
    for secret in secrets:
        assert secret not in written
