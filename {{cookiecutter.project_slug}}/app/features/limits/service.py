"""Counting requests and attempts, and refusing what is too much."""

from collections import Counter as Numbers
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from math import ceil

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

RATE_LIMIT, POLICY = "RateLimit", "RateLimit-Policy"


class TooManyRequests(Failure):
    """The caller's requests are too many at the moment."""

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


async def admit(connection: HTTPConnection, principal: Principal | None, weight: int) -> None:
    """Count a request against the user, or against the address of a caller who is unknown."""
    limiter = service_at(connection).resource(limiting)
    subjects = subjects_of(principal)
    if counters := limiter.of(subjects):
        await count(connection, limiter, counters, weight)
    if connection.scope["type"] == "http":
        take_turn(connection, limiter, ":".join(subjects[0]))


def subjects_of(principal: Principal | None) -> Sequence[tuple[str, str]]:
    """Whom a request counts against: by kind, its key."""
    if principal is None:
        return [("address", network(actor.get().address))]
    return [(kind, str(key)) for kind, key in principal.subjects().items()]


async def standing(service: Service, principal: Principal) -> Sequence[tuple[str, Rate, Window]]:
    """The limits of a caller, by name, and what was counted."""
    limiter = service.resource(limiting)
    found = limiter.of(subjects_of(principal))
    _, windows = (
        await limiter.store.hit([counter for _, counter in found], 0) if found else (True, ())
    )
    return [(name, rate, window) for (name, (_, rate)), window in zip(found, windows, strict=True)]


async def count(
    connection: HTTPConnection,
    limiter: Limiter,
    named: Sequence[tuple[str, Counter]],
    weight: int,
) -> None:
    """Count, and say in headers what is left."""
    admitted, windows = await limiter.store.hit([counter for _, counter in named], weight)
    policies: list[str] = []
    states: list[str] = []
    wait = 0.0
    for (name, (_, rate)), window in zip(named, windows, strict=True):
        policies.append(f'"{name}";q={rate.quota};w={rate.seconds}')
        states.append(f'"{name}";r={window.left(rate)};t={ceil(rate.seconds - window.elapsed)}')
        if not admitted:
            wait = max(wait, window.wait(rate, min(weight, rate.quota)))
    if connection.scope["type"] == "http":
        found = {POLICY: ", ".join(policies), RATE_LIMIT: ", ".join(states)}
        add_headers(connection.scope, found)
    if not admitted:
        raise TooManyRequests(wait)


def take_turn(connection: HTTPConnection, limiter: Limiter, caller: str) -> None:
    """Refuse a caller who waits for too many responses already."""
    running = limiter.running
    if running[caller] >= limiter.settings.concurrent:
        raise TooManyRequests(1, "requests at once")
    running[caller] += 1

    def end() -> None:
        running[caller] -= 1
        if not running[caller]:
            del running[caller]

    at_end(connection.scope, end)


async def attempt(service: Service, kind: Attempt, account: str | None = None) -> None:
    """Count an attempt against the caller's address, and against the account.

    Passwords are counted for each account and address: those of a stranger do not keep the owner out.
    """
    limiter, address = service.resource(limiting), actor.get().address
    if address is None:
        return  # a command, or a job
    place = network(address)
    counters = limiter.counters(f"{kind}_address", place)
    if account is not None:
        key = account_key(kind, account, place)
        counters += limiter.counters(f"{kind}_account", key)
    await refuse_excess(limiter, counters)


async def attempt_anywhere(service: Service, account: str) -> None:
    """Count an attempt to sign in from an address that the account is not known to use."""
    limiter = service.resource(limiting)
    await refuse_excess(limiter, limiter.counters("login_anywhere", fingerprint(account)))


async def succeeded(service: Service, account: str) -> None:
    """Forget the caller's wrong passwords for this account."""
    limiter, address = service.resource(limiting), actor.get().address
    key = account_key(Attempt.LOGIN, account, network(address))
    counters = limiter.counters("login_account", key)
    if counters and address is not None:
        await limiter.store.forget([name for name, _ in counters])


def account_key(kind: Attempt, account: str, place: str) -> str:
    """The part of a key that is about an account: a hash, as it may be an e-mail address."""
    return f"{fingerprint(account)}:{place}" if kind is Attempt.LOGIN else fingerprint(account)


async def refuse_excess(limiter: Limiter, counters: Sequence[Counter]) -> None:
    """Count in all of these windows, or refuse the attempt."""
    if not counters:
        return
    admitted, windows = await limiter.store.hit(counters, 1)
    if not admitted:
        waits = [window.wait(rate, 1) for window, (_, rate) in zip(windows, counters, strict=True)]
        raise TooManyAttempts(max(waits))
