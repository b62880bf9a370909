"""Counting requests and attempts, and refusing what is too much."""

from collections import Counter as Numbers
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from math import ceil
from uuid import UUID

from prometheus_client import Counter as Metric
from starlette.requests import HTTPConnection

from app.core.context import actor
from app.core.errors import Failure
from app.core.middleware import add_headers, at_end
from app.core.resources import Resource
from app.core.security.principal import Principal
from app.core.security.secrets import fingerprint
from app.core.service import Service, service_at
from app.features.limits.settings import LimitSettings, Rate
from app.features.limits.windows import Counter, Memory, Store, Window

REFUSED = Metric("limits_refused", "Requests and attempts beyond a limit", ["limit"])

RATE_LIMIT, POLICY = "RateLimit", "RateLimit-Policy"
TURN = "app.limits.turn"
"""The key in the scope of a request that is served."""


class TooManyRequests(Failure):
    """The caller has sent too many requests."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, seconds: float, what: str = "requests") -> None:
        wait = max(1, ceil(seconds))
        super().__init__(f"Too many {what}. Try again in {wait} s.", retry_after=wait)
        self.headers = {"Retry-After": str(wait)}


class TooManyAttempts(TooManyRequests):
    """Attempts at this from the caller's address, or at this account, are too many at the moment."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds, "attempts")


class Attempt(StrEnum):
    """What is limited more strictly than other requests."""

    LOGIN = "login"
    """Presenting a password."""
    TOKEN = "token"  # noqa: S105, not a secret
    """Presenting a token that was mailed, or a refresh token."""
    MAIL = "mail"
    """Having a mail sent."""


@dataclass(frozen=True, slots=True)
class Limiter:
    """What is counted, and where."""

    settings: LimitSettings
    store: Store
    prefix: str
    """Of all keys: services can share a Redis."""
    running: Numbers[str] = field(default_factory=Numbers[str])
    """The requests of each caller that this process is serving."""

    def counters(self, kind: str, key: str) -> list[Counter]:
        """A window for each rate that the settings have of this kind."""
        rates: Sequence[Rate] = getattr(self.settings, kind)
        return [(f"{self.prefix}:{kind}:{each.seconds}:{key}", each) for each in rates]

    def of(self, subjects: Sequence[tuple[str, str]]) -> list[tuple[str, Counter]]:
        """All windows of these, by kind."""
        return [(kind, each) for kind, key in subjects for each in self.counters(kind, key)]


@asynccontextmanager
async def opened(service: Service) -> AsyncGenerator[Limiter]:
    """Counts in Redis if there is one, and otherwise in this process."""
    ours, url = service.of(LimitSettings), service.settings.redis_url
    prefix = f"{service.settings.issuer}:limits"
    if url is None:
        yield Limiter(ours, Memory(), prefix)
        return
    from app.features.limits.shared import shared  # noqa: PLC0415, it takes long, and not all need it

    async with shared(url.get_secret_value(), closed=ours.closed) as store:
        yield Limiter(ours, store, prefix)


async def check(limiter: Limiter) -> str | None:
    """Whether requests are counted."""
    return await limiter.store.check()


limiting = Resource("limits", opened, check)


@lru_cache(maxsize=1024)
def network(address: str | None) -> str:
    """The address; of IPv6 the network, as each client has very many addresses."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or f"{parsed.exploded[:19]}::")
    return address or ""


async def admit(connection: HTTPConnection, subjects: Mapping[str, UUID], weight: int) -> None:
    """Count a request against these, or against the address of a caller who is unknown."""
    limiter, found = service_at(connection).resource(limiting), named(subjects)
    if counters := limiter.of(found):
        await count(connection, limiter, counters, weight)
    if connection.scope["type"] == "http" and TURN not in connection.scope:
        connection.scope[TURN] = True
        take_turn(connection, limiter, ":".join(found[0]))


def named(subjects: Mapping[str, UUID]) -> Sequence[tuple[str, str]]:
    """The kind and the key of each; of an unknown caller, the address."""
    known = [(kind, str(key)) for kind, key in subjects.items()]
    return known or [("address", network(actor.get().address))]


async def standing(service: Service, principal: Principal) -> Sequence[tuple[str, Rate, Window]]:
    """The limits of a caller, by name, and what was counted."""
    limiter = service.resource(limiting)
    found = limiter.of(named(principal.subjects()))
    _, windows = (
        await limiter.store.hit([counter for _, counter in found], 0) if found else (True, ())
    )
    return [(name, rate, window) for (name, (_, rate)), window in zip(found, windows, strict=True)]


async def count(
    connection: HTTPConnection,
    limiter: Limiter,
    kinds: Sequence[tuple[str, Counter]],
    weight: int,
) -> None:
    """Count, and say in headers what is left."""
    admitted, windows = await limiter.store.hit([counter for _, counter in kinds], weight)
    policies: list[str] = []
    states: list[str] = []
    for (name, (_, rate)), window in zip(kinds, windows, strict=True):
        policies.append(f'"{name}";q={rate.quota};w={rate.seconds}')
        states.append(f'"{name}";r={window.left(rate)};t={ceil(rate.seconds - window.elapsed)}')
    if connection.scope["type"] == "http":
        add_headers(connection.scope, {POLICY: ", ".join(policies), RATE_LIMIT: ", ".join(states)})
    if not admitted:
        raise TooManyRequests(refused(kinds, windows, weight))


def refused(kinds: Sequence[tuple[str, Counter]], windows: Sequence[Window], weight: int) -> float:
    """The longest time to wait for room in one of these windows; counts the refusal."""
    waits = [
        (window.wait(rate, min(weight, rate.quota)), name)
        for (name, (_, rate)), window in zip(kinds, windows, strict=True)
    ]
    seconds, name = max(waits)
    REFUSED.labels(name).inc()
    return seconds


def take_turn(connection: HTTPConnection, limiter: Limiter, caller: str) -> None:
    """Refuse a caller who waits for too many responses already."""
    running = limiter.running
    if running[caller] >= limiter.settings.concurrent:
        REFUSED.labels("concurrent").inc()
        raise TooManyRequests(1, "requests at once")
    running[caller] += 1

    def end() -> None:
        running[caller] -= 1
        if not running[caller]:
            del running[caller]

    at_end(connection.scope, end)


async def attempt(service: Service, kind: Attempt, account: str | None = None) -> None:
    """Count an attempt against the caller's address, and against the account from this address.

    Those of a stranger do not keep the owner out.
    """
    limiter, place = service.resource(limiting), network(actor.get().address)
    subjects = [(f"{kind}_address", place)]
    if account is not None:
        subjects.append((f"{kind}_account", f"{fingerprint(account)}:{place}"))
    await refuse_excess(limiter, subjects)


async def attempt_anywhere(service: Service, kind: Attempt, account: str) -> None:
    """Count an attempt at the account from all addresses together."""
    limiter = service.resource(limiting)
    await refuse_excess(limiter, [(f"{kind}_anywhere", fingerprint(account))])


async def attempt_mail(service: Service, purpose: str, email: str) -> None:
    """Count a mail for this purpose, so that no mailbox is flooded, and no mail is used up by those for another."""
    account = f"{purpose}:{email}"
    await attempt(service, Attempt.MAIL, account)
    await attempt_anywhere(service, Attempt.MAIL, account)


async def succeeded(service: Service, account: str) -> None:
    """Forget the caller's wrong passwords for this account."""
    limiter, place = service.resource(limiting), network(actor.get().address)
    counters = limiter.counters("login_account", f"{fingerprint(account)}:{place}")
    if counters:
        await limiter.store.forget([name for name, _ in counters])


async def refuse_excess(limiter: Limiter, subjects: Sequence[tuple[str, str]]) -> None:
    """Count in all windows of these, or refuse the attempt."""
    if kinds := limiter.of(subjects):
        admitted, windows = await limiter.store.hit([counter for _, counter in kinds], 1)
        if not admitted:
            raise TooManyAttempts(refused(kinds, windows, 1))
