"""Calls to another service that hangs, fails, floods, or is away."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest

from app.core.correlation import correlation_id
from app.core.deadline import deadline
from app.core.outbound import Destination, Outbound, limits
from app.core.outbound.failures import (
    DestinationBusy,
    DestinationFailed,
    DestinationResting,
    DestinationTooSlow,
    OutboundFailed,
    ResponseTooLarge,
)
from app.core.outbound.retrying import seconds_of
from tests.partners import Answer, Partner, bomb, drip, flood, hang, metric, reply, reset


@pytest.fixture
async def partner() -> AsyncGenerator[Partner]:
    """A server that answers as usual."""
    partner = Partner(reply())
    async with partner.listening():
        yield partner


def to(partner: Partner, **changes: Any) -> Destination:  # noqa: ANN401
    """That server, by a name of its own."""
    options: dict[str, Any] = {"backoff_seconds": 0.01, "timeout_seconds": 5.0, **changes}
    return Destination(name=uuid4().hex, base_url=partner.url, **options)


@contextmanager
def ending_in(seconds: float) -> Generator[None]:
    """As in a request that is stopped then."""
    token = deadline.set(asyncio.get_running_loop().time() + seconds)
    yield
    deadline.reset(token)


async def test_a_call_reaches_the_destination_with_its_headers(
    partner: Partner, outbound: Outbound
) -> None:
    token = correlation_id.set("order-4711")
    destination = to(partner, headers={"Authorization": "Bearer key"})

    response = await outbound.call(
        destination, "POST", "/charges", params={"a": 1}, json={"amount": 5}, headers={"X-Y": "z"}
    )

    correlation_id.reset(token)
    (asked,) = partner.asked
    assert (response.status_code, response.json()) == (200, {})
    assert (asked.method, asked.path, asked.json()) == ("POST", "/charges?a=1", {"amount": 5})
    sent = [asked.headers[name] for name in ("authorization", "x-y", "x-correlation-id")]
    assert sent == ["Bearer key", "z", "order-4711"]


async def test_a_path_leads_to_no_other_server(partner: Partner, outbound: Outbound) -> None:
    for path in ("http://127.0.0.1:9/", "@127.0.0.1:9/", ".example/", ""):
        with pytest.raises(ValueError, match="begins with /"):
            await outbound.call(to(partner), "GET", path)
    await outbound.call(to(partner), "GET", "//127.0.0.1:9/x")

    assert [asked.path for asked in partner.asked] == ["//127.0.0.1:9/x"]


async def test_what_one_caller_is_given_is_not_shown_to_the_next(
    partner: Partner, outbound: Outbound
) -> None:
    partner.script = [reply(200, Set_Cookie="session=secret; Path=/")]
    for _ in range(2):
        await outbound.call(to(partner), "GET", "/")

    assert "cookie" not in partner.asked[1].headers
    assert partner.connections == 1


@pytest.mark.parametrize("fails", [reply(500), reply(502), reply(503), reply(504), reset])
async def test_what_is_safe_to_repeat_is_repeated(
    partner: Partner, outbound: Outbound, fails: Answer
) -> None:
    partner.script = [fails, fails]
    destination = to(partner)

    response = await outbound.call(destination, "GET", "/")

    assert response.status_code == 200
    assert len(partner.asked) == 3
    assert metric("outbound_retries_total", destination=destination.name) == 2
    assert metric("outbound_attempts_total", destination=destination.name, outcome="2xx") == 1


@pytest.mark.parametrize(
    ("method", "headers", "status", "attempts"),
    [
        ("GET", {}, 501, 1),
        ("PUT", {}, 500, 3),
        ("DELETE", {}, 429, 3),
        ("POST", {}, 503, 1),
        ("PATCH", {}, 429, 1),
        ("POST", {"idempotency-key": "1"}, 503, 3),
    ],
)
async def test_only_what_has_no_second_effect_is_repeated(
    partner: Partner,
    outbound: Outbound,
    method: str,
    headers: dict[str, str],
    status: int,
    attempts: int,
) -> None:
    partner.usual = reply(status)
    with pytest.raises(OutboundFailed) as failed:
        await outbound.call(to(partner), method, "/x?secret=1", headers=headers)

    assert len(partner.asked) == attempts
    assert isinstance(failed.value, DestinationBusy if status == 429 else DestinationFailed)
    assert f"answered {status} to {method}" in str(failed.value)
    assert "secret" not in str(failed.value) + failed.value.detail


@pytest.mark.parametrize("status", [200, 302, 400, 404, 409, 422])
async def test_what_the_caller_must_judge_is_returned(
    partner: Partner, outbound: Outbound, status: int
) -> None:
    partner.usual = reply(status, Location="http://127.0.0.1:9/")

    assert (await outbound.call(to(partner), "GET", "/")).status_code == status
    assert len(partner.asked) == 1


async def test_a_connection_that_was_never_made_is_tried_again_whatever_was_to_be_sent(
    partner: Partner, outbound: Outbound
) -> None:
    away = replace(to(partner), base_url="http://127.0.0.1:9")

    with pytest.raises(DestinationFailed, match="ConnectError"):
        await outbound.call(away, "POST", "/")

    assert metric("outbound_attempts_total", destination=away.name, outcome="failed") == 3


@pytest.mark.parametrize("answer", [hang, drip, flood])
async def test_a_slow_destination_is_not_waited_for(
    partner: Partner, outbound: Outbound, answer: Answer
) -> None:
    partner.usual = answer
    slow = to(partner, timeout_seconds=0.3, attempts=1, max_bytes=10**12)
    started = monotonic()

    with pytest.raises(DestinationTooSlow):
        await outbound.call(slow, "GET", "/")

    assert 0.25 < monotonic() - started < 10


async def test_what_no_header_can_hold_is_the_callers_fault(
    partner: Partner, outbound: Outbound
) -> None:
    destination = to(partner, failures=1)
    for text in ("Al\r\nX-Role: admin", "Jürgen"):
        with pytest.raises(ValueError, match="the header x-name must be printable ASCII"):
            await outbound.call(destination, "GET", "/", headers={"X-Name": text})
    with pytest.raises(ValueError, match="leads to nothing above it"):
        await outbound.call(destination, "GET", "/../admin")

    assert (await outbound.call(destination, "GET", "/?a=..")).status_code == 200
    assert len(partner.asked) == 1


async def test_an_impossible_date_is_none(partner: Partner, outbound: Outbound) -> None:
    partner.usual = reply(503, Retry_After="Mon, 01 Jan 2024 00:00:00 +" + "9" * 20)

    with pytest.raises(DestinationFailed):
        await outbound.call(to(partner, attempts=1), "GET", "/")


async def test_who_leaves_during_a_delay_pays_for_no_retry(
    partner: Partner, outbound: Outbound
) -> None:
    partner.usual = reply(503, Retry_After="9")
    destination = to(partner, failures=0, concurrent=200)
    for _ in range(2):
        calls = [asyncio.create_task(outbound.call(destination, "GET", "/")) for _ in range(100)]
        await asyncio.wait(calls, timeout=2)
        assert sum(each.done() for each in calls) == 0
        for each in calls:
            each.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


@pytest.mark.parametrize("answer", [hang, reply(503, Retry_After="15"), reply(500)])
async def test_a_request_that_ends_soon_waits_no_longer(
    partner: Partner, outbound: Outbound, answer: Answer
) -> None:
    partner.usual = answer
    destination = to(partner, timeout_seconds=20, backoff_seconds=20, attempts=10)
    with ending_in(1):
        started = monotonic()
        with pytest.raises(OutboundFailed):
            await outbound.call(destination, "GET", "/")
        assert monotonic() - started < 5
    with ending_in(-1), pytest.raises(DestinationTooSlow):
        await outbound.call(destination, "GET", "/")
    assert len(partner.asked) < 10


async def test_retry_after_is_honored_and_passed_on(partner: Partner, outbound: Outbound) -> None:
    partner.script = [reply(429, Retry_After="1")]
    started = monotonic()
    await outbound.call(to(partner), "GET", "/")
    assert monotonic() - started >= 1

    partner.usual = reply(503, Retry_After="100")
    with pytest.raises(DestinationFailed) as failed:
        await outbound.call(to(partner), "GET", "/")

    assert len(partner.asked) == 3
    assert failed.value.headers == {"Retry-After": "100"}


def test_any_retry_after_is_understood_or_ignored() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 50 < (seconds_of(date) or 0) <= 60
    assert seconds_of("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert seconds_of("9" * 5000) == 999_999_999
    for odd in (
        "",
        "-1",
        "1.5",
        "nan",
        "٣",
        "soon",
        "Mon, 99 Foo 99999 99:99:99",
        "\0",
        "1" + "/" * 99,
    ):
        assert seconds_of(odd) is None


async def test_too_much_is_not_read(partner: Partner, outbound: Outbound) -> None:
    for answer in (flood, bomb(1), bomb(2), reply(200, bytes(100_001))):
        partner.usual = answer
        with pytest.raises(ResponseTooLarge):
            await outbound.call(to(partner, max_bytes=100_000), "GET", "/")
    assert len(partner.asked) == 4


async def test_an_outage_is_not_amplified(partner: Partner, outbound: Outbound) -> None:
    partner.usual = reply(503)
    destination = to(partner, failures=0, attempts=3, backoff_seconds=0)
    retries = limits.QUOTA // limits.COST

    for _ in range(100):
        with pytest.raises(DestinationFailed):
            await outbound.call(destination, "GET", "/")
    assert len(partner.asked) == 100 + retries

    partner.usual = reply()
    for _ in range(limits.COST):
        await outbound.call(destination, "GET", "/")
    partner.usual = reply(503)
    partner.asked.clear()
    with pytest.raises(DestinationFailed):
        await outbound.call(destination, "GET", "/")
    assert len(partner.asked) == 2


async def test_a_destination_that_keeps_failing_is_left_alone_then_probed(
    partner: Partner,
    outbound: Outbound,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    monkeypatch.setattr(limits, "monotonic", lambda: now[0])
    caplog.set_level(logging.DEBUG)
    partner.usual = reply(500)
    destination = to(partner, attempts=1, failures=3, rest_seconds=30)
    for _ in range(3):
        with pytest.raises(DestinationFailed):
            await outbound.call(destination, "GET", "/?token=secret")
    now[0] += 20
    for _ in range(20):
        with pytest.raises(DestinationResting) as resting:
            await outbound.call(destination, "GET", "/")
        assert resting.value.headers == {"Retry-After": "10"}
    assert len(partner.asked) == 3
    assert metric("outbound_breaker_open", destination=destination.name) == 1

    now[0] += 10
    calls = [outbound.call(destination, "GET", "/") for _ in range(10)]
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert sorted(type(each).__name__ for each in found) == ["DestinationFailed"] + 9 * [
        "DestinationResting"
    ]

    partner.usual = reply()
    now[0] += 30
    for _ in range(2):
        await outbound.call(destination, "GET", "/")
    assert metric("outbound_breaker_open", destination=destination.name) == 0
    told = [each for each in caplog.messages if "breaker" in each]
    assert [destination.name in each for each in told] == 3 * [True]
    assert "secret" not in caplog.text
    assert partner.url not in caplog.text.replace(f"'{partner.url}'", "")


async def test_a_probe_that_is_stopped_leaves_the_next_one_to_probe(
    partner: Partner, outbound: Outbound
) -> None:
    partner.script = [reply(500), hang]
    destination = to(partner, attempts=1, failures=1, rest_seconds=0.01)
    with pytest.raises(DestinationFailed):
        await outbound.call(destination, "GET", "/")
    await asyncio.sleep(0.05)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await outbound.call(destination, "GET", "/")

    assert (await outbound.call(destination, "GET", "/")).status_code == 200


async def test_calls_of_hurried_callers_say_nothing_of_the_destination(
    partner: Partner, outbound: Outbound
) -> None:
    partner.usual = hang
    destination = to(partner, attempts=1, failures=1)
    with ending_in(0.1), pytest.raises(DestinationTooSlow):
        await outbound.call(destination, "GET", "/")

    partner.usual = reply()
    assert (await outbound.call(destination, "GET", "/")).status_code == 200


async def test_a_slow_destination_occupies_only_its_places(
    partner: Partner, outbound: Outbound
) -> None:
    partner.usual = hang
    slow = to(partner, concurrent=2, waiting=1, attempts=1, timeout_seconds=2)
    calls = [asyncio.create_task(outbound.call(slow, "GET", "/")) for _ in range(5)]
    done, _ = await asyncio.wait(calls, timeout=1)
    refused = [str(each.exception()) for each in done]
    assert len(refused) == 2
    assert all("too many calls waiting" in each for each in refused)

    partner.usual = reply()
    assert (await outbound.call(to(partner), "GET", "/")).status_code == 200
    await asyncio.gather(*calls, return_exceptions=True)
    assert (await outbound.call(slow, "GET", "/")).status_code == 200
    assert metric("outbound_wait_seconds_count", destination=slow.name) == 1
