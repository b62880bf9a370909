"""What Sentry receives of an error, and what it never does."""

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import sentry_sdk

from app.core.db.session import Database
from app.core.service import Service
from app.core.settings import Settings
from app.installed import FEATURES
from app.main import create_app
from conftest import Account, client_over, make_account
from tests import observed
from tests.receivers import Receiver, receiving

URL = "/api/v1/observed"
Open = Callable[..., AbstractAsyncContextManager[Account]]


def dsn(receiver: Receiver) -> str:
    return receiver.url.replace("//", "//public@") + "/1"


@pytest.fixture
def opened(committed_db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens the service as its process does, with this project in Sentry, and a member."""

    @asynccontextmanager
    async def open_it(dsn: str, **more: str) -> AsyncGenerator[Account]:
        for name, value in {"SENTRY_DSN": dsn, **more}.items():
            monkeypatch.setenv(name, value)
        app = create_app(settings, [*FEATURES, observed.feature])
        async with app.router.lifespan_context(app) as state:
            assert state
            service: Service = state["service"]
            async with client_over(app, service) as client:
                yield await make_account(service.database, client, "ada@example.com", "member")

    return open_it


async def fail(account: Account, query: str = "email=ada@example.com") -> str:
    """Fail with what is personal in the body, the query and the headers; returns the id of the request."""
    answer = await account.client.post(
        f"{URL}/things/17?{query}",
        json={"password": "hunter2"},
        headers={"Cookie": "session=hunter2", "X-Api-Key": "hunter2"},
    )
    return answer.headers["X-Correlation-ID"]


async def test_a_bug_is_sent_once_with_ids_and_nothing_personal(opened: Open) -> None:
    with receiving() as receiver:
        async with opened(dsn(receiver)) as account:
            correlation_id = await fail(account)

    (event,) = receiver.events
    (error,) = event["exception"]["values"]
    assert (error["type"], error["value"]) == ("ValueError", "")
    assert error["stacktrace"]["frames"][-1]["function"] == "raise_it"
    assert event["transaction"] == "POST " + URL + "/things/{number}"
    assert event["tags"] == {"correlation_id": correlation_id}
    assert event["user"] == {"id": str(account.id)}
    assert (event["environment"], event["release"].split("@")[1]) == ("test", "0.1.0")
    sent = b"".join(each.body for each in receiver.received).decode()
    for secret in (
        "hunter2",
        "ada@",
        "127.0.0.1",
        account.tokens["access_token"],
        socket.gethostname(),
    ):
        assert secret not in sent, secret
    assert not {"request", "breadcrumbs", "modules", "extra"} & event.keys()


async def test_what_clients_did_wrong_is_not_sent(opened: Open) -> None:
    with receiving() as receiver:
        async with opened(dsn(receiver)) as account:
            await fail(account, "kind=conflict")
            await account.client.get(f"{URL}/nowhere")
            await account.client.post(f"{URL}/things/x", json={"password": 1})

    assert receiver.events == []


@pytest.mark.parametrize(("messages", "shown"), [("false", ""), ("true", "hunter2")])
async def test_messages_are_sent_if_wanted_and_those_of_secret_jobs_never(
    opened: Open, messages: str, shown: str
) -> None:
    with receiving() as receiver:
        async with opened(dsn(receiver), SENTRY_MESSAGES=messages) as account:
            await account.client.post(f"{URL}/failures")
            await account.client.get(f"{URL}/stream")
            await account.client.post(f"{URL}/broken")

    values = {
        event["transaction"]: {each["value"] for each in event["exception"]["values"]}
        for event in receiver.events
    }
    assert len(receiver.events) == 3
    assert values["job observed.fail"] == {""}
    assert values[f"GET {URL}/stream"] == {shown}
    assert (values[f"POST {URL}/broken"] == {""}) is not bool(shown)


async def test_an_error_names_its_trace(opened: Open) -> None:
    with receiving() as receiver:
        traced = {"TRACING_ENDPOINT": receiver.url, "TRACING_SAMPLE_RATIO": "1"}
        async with opened(dsn(receiver), **traced) as account:
            await fail(account)

    (event,) = receiver.events
    (span,) = [each for each in receiver.spans if each.name == event["transaction"]]
    assert event["tags"]["trace_id"] == event["contexts"]["trace"]["trace_id"] == span.trace_id
    assert event["contexts"]["trace"]["span_id"] == span.id
    assert span.failed


async def test_a_service_may_send_what_it_handles_itself(opened: Open) -> None:
    with receiving() as receiver:
        async with opened(dsn(receiver)):
            sentry_sdk.capture_message("noteworthy")
            sentry_sdk.capture_exception(ValueError("hunter2"))
        sentry_sdk.capture_message("closed")

    assert [event.get("message") for event in receiver.events] == ["noteworthy", None]
    assert receiver.events[1]["exception"]["values"][0]["value"] == ""


async def test_a_silent_server_delays_nothing(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.features.sentry.service.FLUSH_SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        async with opened(f"http://public@127.0.0.1:{silent.getsockname()[1]}/1") as account:
            for _ in range(20):
                async with asyncio.timeout(10):
                    await fail(account)
            stopping = time.monotonic()

    assert time.monotonic() - stopping < 5
