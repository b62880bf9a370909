"""Secrets that are logged by mistake are masked, whatever logs them."""

import json
import logging as stdlib
from collections.abc import Callable
from time import perf_counter

import pytest
import structlog
from pydantic import SecretBytes, SecretStr
from sqlalchemy import make_url

from app.core import logging
from app.core.masking import masked_text
from app.core.settings import LogFormat, Settings

SECRET = "hunter2-hunter2"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"

Written = Callable[[Callable[[], object]], str]


@pytest.fixture(params=LogFormat)
def written(
    request: pytest.FixtureRequest, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> Written:
    """What is logged meanwhile, at any level."""
    changed: dict[str, object] = {"log_format": request.param, "log_level": "DEBUG"}

    def during(act: Callable[[], object]) -> str:
        logging.configure(settings.model_copy(update=changed))
        act()
        return capsys.readouterr().err

    return during


@pytest.mark.parametrize(
    "fields",
    [
        {"password": SECRET},
        {"new_Password": SECRET},
        {"Authorization": f"Basic {SECRET}"},
        {"x-API-Key": SECRET},
        {"set-cookie": [SECRET]},
        {"refreshToken": SECRET.encode()},
        {"body": {"user": {"client_secret": SECRET}}},
        {"items": [{"token": SECRET}, ({"api_key": SECRET},)]},
        {"value": SecretStr(SECRET)},
        {"values": [SecretBytes(SECRET.encode())]},
        {"url": make_url(f"sqlite://app:{SECRET}@db/app")},
        {"url": f"redis://:{SECRET}@cache:6379/0"},
        {"link": f"https://example.com/reset-password#token={SECRET}"},
        {"header": f"Authorization: Bearer {SECRET}"},
        {"header": f"Authorization: Token {SECRET}"},
        {"headers": str([("authorization", f"Basic {SECRET}"), (b"cookie", SECRET.encode())])},
        {"url": f"redis://:{SECRET}/{SECRET}@cache:6379/0"},
        {"link": f"/sign-in?next=%2Freset%3Ftoken%3D{SECRET}"},
        {"text": f"got {JWT} instead"},
        {"text": str({"password": f"{SECRET} and more", "x": 1})},
        {"text": json.dumps({"access_token": SECRET, "x": None})},
        {"text": f"Login(email='x', password='{SECRET} {SECRET}')"},
    ],
)
@pytest.mark.parametrize("foreign", [False, True], ids=["structlog", "logging"])
def test_no_field_shows_a_secret(
    written: Written, fields: dict[str, object], *, foreign: bool
) -> None:
    def act() -> None:
        if foreign:
            stdlib.getLogger("library").warning("happened", extra=fields)
        else:
            structlog.stdlib.get_logger("ours").warning("happened", **fields)

    line = written(act)
    assert "happened" in line
    assert "***" in line
    assert SECRET not in line
    assert JWT not in line
    if line.startswith("{"):
        assert json.loads(line)["event"] == "happened"


def connect() -> None:
    raise ValueError(f"cannot connect to smtp://app:{SECRET}@db/app")


def prepare() -> None:
    try:
        connect()
    except ValueError as error:
        raise RuntimeError(f"token={SECRET}&next=1") from error


def test_no_message_or_exception_shows_a_secret(written: Written) -> None:
    def act() -> None:
        try:
            prepare()
        except RuntimeError:
            stdlib.getLogger("library").exception("with Bearer %s", SECRET)
            structlog.stdlib.get_logger("ours").exception("failed", stack_info=True)

    lines = written(act)
    assert lines.count("cannot connect to smtp://app:***@db/app") >= 2
    assert lines.count("token=***&next=1") >= 2
    assert "with Bearer ***" in lines
    assert SECRET not in lines


@pytest.mark.parametrize(
    "text",
    [
        "METRICS_TOKEN is guessable: generate one",
        "Present METRICS_TOKEN as a bearer token.",
        "the token: expired",
        "https://example.com:8443/path",
        "wrong password",
        "a keyboard://",
    ],
)
def test_what_is_only_about_secrets_is_left(text: str) -> None:
    assert masked_text(text) == text


class Unprintable:
    """An object that has no text."""

    def __repr__(self) -> str:
        raise RuntimeError(SECRET)


def test_what_cannot_be_printed_fails_no_line(written: Written) -> None:
    itself: dict[str, object] = {"password": SECRET}
    itself["itself"] = itself

    def act() -> None:
        structlog.stdlib.get_logger("ours").warning("odd", item=Unprintable(), mapping=itself)

    line = written(act)
    assert "<Unprintable>" in line
    assert SECRET not in line


def test_what_is_not_secret_is_left(written: Written) -> None:
    ours = structlog.stdlib.get_logger("ours")
    line = written(lambda: ours.warning("kept", count=3, token=None, name="Ada", ok=True))

    if line.startswith("{"):
        found = json.loads(line)
        assert (found["count"], found["token"], found["name"], found["ok"]) == (
            3,
            None,
            "Ada",
            True,
        )
    else:
        assert "count=3" in line
        assert "name=Ada" in line


@pytest.mark.parametrize(
    "part",
    ["eyJ", "token", "a.", "bearer ", 'token"  ', "token='", "a://", "://:", "cookie=", "token: 1"],
)
def test_no_text_takes_long_to_search(part: str) -> None:
    began = perf_counter()
    masked_text("token " + part * (200_000 // len(part)))
    assert perf_counter() - began < 5
