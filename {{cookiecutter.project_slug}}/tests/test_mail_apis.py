"""Mail through HTTP APIs: real servers that behave like SendGrid's and Amazon SES's."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import select

from app.core.db.base import utc_now
from app.core.db.session import Database, reading, unit_of_work
from app.core.deadline import deadline
from app.core.jobs.models import JobRun
from app.core.jobs.runner import run_due
from app.core.mail import Mail, Undeliverable
from app.core.mail.api import ApiMailer, ApiRefused
from app.core.mail.outbox import send
from app.core.mail.sendgrid import SendGridMailer
from app.core.mail.ses import REGION, SESMailer
from app.core.mail.signing import Key, signed
from app.core.outbound import Outbound
from app.core.outbound.failures import (
    DestinationBusy,
    DestinationFailed,
    DestinationTooSlow,
    OutboundFailed,
)
from app.core.settings import Environment, Settings
from app.installed import JOBS
from tests.databases import NO_FILE
from tests.inline import serving
from tests.partners import Answer, Partner, hang, reply, reset

MAIL = Mail("ada@example.com", "Grüße 👩‍👧", "Hello.\n", "<p>Hello.</p>\n")
SENDGRID_KEY = "SG.0123456789abcdef"
ACCESS, SECRET = "AKIDEXAMPLE0123456", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
ADDRESS = {"email": "service@example.com", "name": "The Service"}


@dataclass
class Api:
    """A server of one kind, and the adapter for it."""

    server: Partner
    kind: type[ApiMailer]
    key: str
    outbound: Outbound
    settings: Settings

    def mailer(self, **changes: object) -> ApiMailer:
        return self.kind(self.configured(**changes), self.outbound)

    def configured(self, **changes: object) -> Settings:
        mine = {
            "mailer": self.kind,
            "mail_api_url": self.server.url,
            "mail_api_key": SecretStr(self.key),
            "mail_from": "The Service <service@example.com>",
        }
        return self.settings.model_copy(update=mine | changes)

    async def answer(self, writer: asyncio.StreamWriter) -> None:
        """As the real one does: check the key, then the shape."""
        await (sendgrid if self.kind is SendGridMailer else ses)(self.server)(writer)


def refused(field: str | None) -> bytes:
    """SendGrid's errors."""
    return json.dumps({"errors": [{"message": "It is wrong.", "field": field}]}).encode()


def sendgrid(server: Partner) -> Answer:
    """SendGrid's answer to the latest request."""
    asked = server.asked[-1]
    if asked.headers["authorization"] != f"Bearer {SENDGRID_KEY}":
        return reply(401, refused(None))
    wanted = {
        "personalizations": [{"to": [{"email": MAIL.to}]}],
        "from": ADDRESS,
        "subject": MAIL.subject,
        "content": [
            {"type": "text/plain", "value": MAIL.text},
            {"type": "text/html", "value": MAIL.html},
        ],
    }
    fits = (asked.method, asked.path, asked.json()) == ("POST", "/v3/mail/send", wanted)
    return reply(202, b"", X_Message_Id="1") if fits else reply(400, refused("content"))


def ses(server: Partner) -> Answer:
    """SES's answer to the latest request."""
    asked = server.asked[-1]
    stamp = datetime.strptime(asked.headers["x-amz-date"] + "+0000", "%Y%m%dT%H%M%SZ%z")
    url = f"http://{asked.headers['host']}{asked.path}"
    content_type = {"Content-Type": asked.headers["content-type"]}
    key = Key(ACCESS, SECRET, "us-east-1", "ses")
    expected = signed(key, asked.method, url, content_type, asked.body, stamp)["Authorization"]
    late = abs((utc_now() - stamp).total_seconds()) > 300
    if late or asked.headers["authorization"] != expected:
        return reply(403, x_amzn_ErrorType="SignatureDoesNotMatch")
    simple = {
        "Subject": {"Data": MAIL.subject, "Charset": "UTF-8"},
        "Body": {
            "Text": {"Data": MAIL.text, "Charset": "UTF-8"},
            "Html": {"Data": MAIL.html, "Charset": "UTF-8"},
        },
    }
    wanted = {
        "FromEmailAddress": "The Service <service@example.com>",
        "Destination": {"ToAddresses": [MAIL.to]},
        "Content": {"Simple": simple},
    }
    fits = (asked.path, asked.json()) == ("/v2/email/outbound-emails", wanted)
    good, bad = (
        reply(200, b'{"MessageId": "1"}'),
        reply(400, x_amzn_ErrorType="BadRequestException"),
    )
    return good if fits else bad


@pytest.fixture(params=[(SendGridMailer, SENDGRID_KEY), (SESMailer, f"{ACCESS}:{SECRET}")])
async def api(request: pytest.FixtureRequest, settings: Settings) -> AsyncGenerator[Api]:
    """Each API."""
    outbound, server = Outbound(deployed=False), Partner(hang)
    kind, key = request.param
    api = Api(server, kind, key, outbound, settings)
    server.usual = api.answer
    async with server.listening():
        yield api
    await outbound.close()


async def test_a_mail_is_accepted(api: Api) -> None:
    await api.mailer().send(MAIL)

    assert len(api.server.asked) == 1


async def test_a_wrong_key_is_no_fault_of_the_mail(api: Api) -> None:
    wrong = SecretStr(api.key[:-1] + "x")

    with pytest.raises(ApiRefused, match=r"the mail API answered 40[13]: check .*MAIL_API_KEY"):
        await api.mailer(mail_api_key=wrong).send(MAIL)


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (reply(429, Retry_After="60"), DestinationBusy),
        (reply(500), DestinationFailed),
        (reply(503), DestinationFailed),
        (reset, DestinationFailed),
        (reply(400, refused("from.email")), ApiRefused),
        (reply(400, b"\xff[", x_amzn_ErrorType="LimitExceededException"), ApiRefused),
        (reply(400, x_amzn_ErrorType="SendingPausedException:http://x/"), ApiRefused),
        (reply(302, Location="http://127.0.0.1:9/"), ApiRefused),
        (reply(404), ApiRefused),
        (reply(413), Undeliverable),
    ],
)
async def test_a_failure_is_permanent_only_if_it_is_of_the_mail(
    api: Api, answer: Answer, failure: type[Exception]
) -> None:
    api.server.usual = answer

    with pytest.raises(failure):
        await api.mailer().send(MAIL)

    assert len(api.server.asked) == 1, "it may have been sent"


async def test_an_api_that_hangs_is_not_waited_for(api: Api) -> None:
    api.server.usual = hang
    token = deadline.set(asyncio.get_running_loop().time() + 0.5)
    with pytest.raises(DestinationTooSlow):
        await api.mailer().send(MAIL)
    deadline.reset(token)


@pytest.mark.parametrize("api", [(SendGridMailer, SENDGRID_KEY)], ids=["sendgrid"], indirect=True)
async def test_sendgrid_refuses_an_address_for_good(api: Api) -> None:
    api.server.usual = reply(400, refused("personalizations.0.to.0.email"))

    with pytest.raises(Undeliverable, match="refused with 400"):
        await api.mailer().send(MAIL)


@pytest.mark.parametrize("api", [(SESMailer, f"{ACCESS}:{SECRET}")], ids=["ses"], indirect=True)
async def test_an_address_that_is_not_verified_is_no_fault_of_the_mail(api: Api) -> None:
    words = b'{"message": "Email address is not verified. The following identities failed"}'
    api.server.usual = reply(400, words, x_amzn_ErrorType="MessageRejected")

    with pytest.raises(ApiRefused, match="answered 400"):
        await api.mailer().send(MAIL)


@pytest.mark.parametrize("error", ["MessageRejected", "BadRequestException:http://internal/"])
@pytest.mark.parametrize("api", [(SESMailer, f"{ACCESS}:{SECRET}")], ids=["ses"], indirect=True)
async def test_ses_refuses_a_mail_for_good(api: Api, error: str) -> None:
    api.server.usual = reply(400, b'{"message": "No."}', x_amzn_ErrorType=error)

    with pytest.raises(Undeliverable, match="refused with 400"):
        await api.mailer().send(MAIL)


async def test_an_api_that_does_not_answer_is_left_to_the_next_attempt_of_the_job(
    api: Api, committed_db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """And what is recorded names neither the key nor the mail."""
    api.server.script = [reply(401), reply(503)]
    service = serving(committed_db, settings=api.configured(), jobs=JOBS, outbound=api.outbound)
    errors = list[str | None]()
    async with unit_of_work(committed_db) as session:
        await send(session, MAIL)
    for _ in range(3):
        await run_due(service)
        async with unit_of_work(committed_db) as session:
            run = (await session.scalars(select(JobRun))).one()
            errors.append(run.error)
            run.due_at = run.due_at and utc_now()

    assert errors == [
        "ApiRefused: the mail API answered 401: check MAIL_API_KEY",
        "DestinationFailed",
        None,
    ]
    assert api.key[-20:] not in caplog.text
    assert MAIL.to not in caplog.text
    async with reading(committed_db) as session:
        assert (await session.scalars(select(JobRun.state))).one() == "done"


async def test_an_api_that_is_down_is_not_asked_for_each_mail(api: Api) -> None:
    api.server.usual = reply(500)
    for _ in range(20):
        with pytest.raises(OutboundFailed):
            await api.mailer().send(MAIL)

    assert len(api.server.asked) == 5


# From the suite of test vectors that Amazon published for Signature Version 4.
VECTORS: list[tuple[str, dict[str, str], bytes, str]] = [
    ("GET", {}, b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("POST", {}, b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    (
        "POST",
        {"Content-Type": "application/x-www-form-urlencoded"},
        b"Param1=value1",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
]


@pytest.mark.parametrize(("method", "headers", "content", "signature"), VECTORS)
def test_requests_are_signed_as_amazon_does(
    method: str, headers: Mapping[str, str], content: bytes, signature: str
) -> None:
    key = Key("AKIDEXAMPLE", SECRET, "us-east-1", "service")
    now = datetime.fromisoformat("2015-08-30T12:36:00Z")

    found = signed(key, method, "https://example.amazonaws.com/", headers, content, now)

    assert found["X-Amz-Date"] == "20150830T123600Z"
    assert found["Authorization"].startswith(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders="
    )
    assert found["Authorization"].endswith(f"host;x-amz-date, Signature={signature}")


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://email.eu-west-1.amazonaws.com", "eu-west-1"),
        ("https://email-fips.us-east-2.amazonaws.com", "us-east-2"),
        ("https://email.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("https://vpce-0a-1b.email.us-west-2.vpce.amazonaws.com", "us-west-2"),
    ],
)
def test_the_region_is_in_the_url(url: str, region: str) -> None:
    found = REGION.search(url)
    assert found
    assert found[1] == region


def deployed(**changes: Any) -> str:  # noqa: ANN401
    """What keeps a service with these settings from starting."""
    with pytest.raises(ValidationError) as refusal:
        Settings(**NO_FILE, environment=Environment.PRODUCTION, **changes)
    return str(refusal.value)


def test_production_names_what_an_api_lacks() -> None:
    sendgrid = {"mailer": SendGridMailer, "mail_api_url": "https://api.sendgrid.com"}
    ses = {"mailer": SESMailer, "mail_api_url": "https://email.eu-west-1.amazonaws.com"}
    lacks = "MAILER needs MAIL_API_URL and MAIL_API_KEY"
    for good in (
        {**sendgrid, "mail_api_key": SENDGRID_KEY},
        {**ses, "mail_api_key": f"{ACCESS}:{SECRET}"},
        {},
    ):
        assert lacks not in deployed(**good)
    for bad in (
        sendgrid,
        {"mailer": SendGridMailer, "mail_api_key": SENDGRID_KEY},
        {**sendgrid, "mail_api_key": "a key\n of two lines"},
        {**ses, "mail_api_key": SECRET},
    ):
        assert lacks in deployed(**bad)
    assert "MAIL_API_URL is not https://" in deployed(mail_api_url="http://api.sendgrid.com")
