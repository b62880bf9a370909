"""Sending requests, imported with the first of them."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack, aclosing
from http.cookiejar import CookieJar, DefaultCookiePolicy
from time import perf_counter
from typing import Any

from httpx2 import (
    URL,
    AsyncClient,
    ConnectError,
    ConnectTimeout,
    Limits,
    Request,
    RequestError,
    Response,
    Timeout,
    TimeoutException,
    create_ssl_context,
)

from app.core import correlation
from app.core.deadline import deadline
from app.core.outbound.destinations import Anywhere, Call, Destination, Watch
from app.core.outbound.failures import (
    DestinationFailed,
    DestinationTooSlow,
    OutboundFailed,
    ResponseTooLarge,
    UrlRefused,
)
from app.core.outbound.guard import ALLOWED, Guarded, checked
from app.core.outbound.limits import COST, COST_OF_TIMEOUT, Breaker, Bulkhead, Quota
from app.core.outbound.metrics import ATTEMPTS, DURATION, RETRIES
from app.core.outbound.retrying import LONGEST_DELAY, delay, failure_of, may_repeat

DESTINATION = "destination"
"""The extension of a request that has the name of its destination."""
CONNECT_SECONDS = 5.0
FAIR_SECONDS = 5.0
"""A timeout says nothing of a destination that had less than half of this, or of its own: the caller was in a hurry."""
RESERVED = 0.1
"""The part of the remaining time that is left to deal with a failure, of at most `MOST_RESERVED` seconds."""
MOST_RESERVED = 1.0
ENCODING = {"content-encoding", "content-length", "transfer-encoding"}
HARMLESS = {"accept", "accept-encoding", "user-agent"}
"""The headers that another origin gets after a redirect: no credentials, by whatever name."""


class Line:
    """What is known of a destination."""

    def __init__(self, destination: Destination) -> None:
        self.quota = Quota()
        self.breaker = Breaker(destination)
        self.bulkhead = Bulkhead(destination)


class Sender:
    """The clients: one for partners, one for URLs of users. Neither keeps cookies, which would reach other callers."""

    def __init__(self, deployed: bool, watches: Sequence[Watch]) -> None:
        self.deployed = deployed
        self.watches = watches
        self.lines: dict[str, Line] = {}
        options: dict[str, Any] = {
            "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            "timeout": Timeout(None, connect=CONNECT_SECONDS),
        }
        limits = Limits(max_connections=None, max_keepalive_connections=100)
        self.partners = AsyncClient(verify=create_ssl_context(), limits=limits, **options)
        # Connections are not kept: the next name with this address may be another server's.
        once = Limits(max_connections=None, max_keepalive_connections=0)
        guarded = Guarded(verify=create_ssl_context(), trust_env=False, limits=once)
        self.anywhere = AsyncClient(transport=guarded, trust_env=False, **options)

    async def close(self) -> None:
        """Close all connections."""
        await self.partners.aclose()
        await self.anywhere.aclose()

    async def call(self, call: Call) -> Response:
        """Make the call, and follow the redirects of users' URLs, each as if the user had given it."""
        destination, response = call.destination, await self.persist(call)
        if isinstance(destination, Anywhere) and call.method in {"GET", "HEAD"}:
            for _ in range(destination.redirects):
                if not response.has_redirect_location:
                    break
                before, to = response.url, response.headers["Location"]
                target = checked(to, destination, deployed=self.deployed, base=str(before))
                call = call._replace(url=str(target), body={})
                if origin(target) != origin(before):
                    kept = {name: call.headers[name] for name in HARMLESS & call.headers.keys()}
                    call = call._replace(headers=kept)
                response = await self.persist(call)
        return response

    async def persist(self, call: Call) -> Response:
        """Attempt it until it succeeds, or another attempt could not help, do harm, or come too late."""
        destination, retry, paid = call.destination, 0, 0
        line = self.lines.setdefault(destination.name, Line(destination))
        while True:
            request = self.request(call)
            try:
                response = await self.attempt(line, destination, request)
            except OutboundFailed as error:
                failure = error
            else:
                line.quota.give(paid)
                return response
            wait, paid = delay(destination, retry, failure), cost_of(failure)
            retry += 1
            wanted = retry < destination.attempts and may_repeat(request, failure)
            if not (wanted and is_in_time(wait) and line.quota.take(paid)):
                raise failure
            RETRIES.labels(destination.name).inc()
            try:
                await asyncio.sleep(wait)
            except asyncio.CancelledError:
                line.quota.give(paid)
                raise

    def request(self, call: Call) -> Request:
        """A request; only partners learn which request of ours it belongs to."""
        destination, client, headers = call.destination, self.partners, dict(call.headers)
        extensions: dict[str, Any] = {DESTINATION: destination.name}
        if isinstance(destination, Anywhere):
            client = self.anywhere
            checked(call.url, destination, deployed=self.deployed)
            extensions[ALLOWED] = destination.networks
        elif known := correlation.correlation_id.get():
            headers.setdefault(correlation.HEADER.lower(), known)
        return client.build_request(
            call.method, call.url, headers=headers, extensions=extensions, **call.body
        )

    async def attempt(self, line: Line, destination: Destination, request: Request) -> Response:
        """One attempt, when it is its turn, unless the destination is left alone."""
        started, outcome, clock = perf_counter(), "stopped", asyncio.get_running_loop().time
        until = clock() + allowed_seconds(destination)
        try:
            async with line.bulkhead.place(until):
                hurried = until - clock() < min(destination.timeout_seconds, FAIR_SECONDS) / 2
                with line.breaker.passing(hurried=hurried):
                    response = await self.watched(destination, request, until)
            outcome = f"{response.status_code // 100}xx"
        except (OutboundFailed, UrlRefused) as failure:
            outcome = failure.outcome
            raise
        else:
            return response
        finally:
            ATTEMPTS.labels(destination.name, outcome).inc()
            DURATION.labels(destination.name).observe(perf_counter() - started)

    async def watched(self, destination: Destination, request: Request, until: float) -> Response:
        """The response, seen by those that watch; raise if it is a failure."""
        headers = request.headers.copy()
        with ExitStack() as stack:
            tell = [stack.enter_context(watch(request)) for watch in self.watches]
            if isinstance(destination, Anywhere):
                request.headers = headers
            response = await self.exchange(destination, request, until)
            for each in tell:
                each(response)
            if failure := failure_of(destination, response):
                raise failure
        return response

    async def exchange(self, destination: Destination, request: Request, until: float) -> Response:
        """Send the request and read the response, both in time."""
        client = self.anywhere if isinstance(destination, Anywhere) else self.partners
        try:
            async with asyncio.timeout_at(until):
                response = await client.send(request, stream=True)
                try:
                    body = await content_of(response, destination)
                finally:
                    await response.aclose()
        except (TimeoutError, TimeoutException) as error:
            slow = DestinationTooSlow(destination.name, "did not answer in time")
            slow.sent = not isinstance(error, ConnectTimeout)
            raise slow from None
        except RequestError as error:
            failed = DestinationFailed(destination.name, f"failed: {type(error).__name__}")
            failed.sent = not isinstance(error, ConnectError)
            raise failed from error
        kept = [item for item in response.headers.multi_items() if item[0] not in ENCODING]
        return Response(response.status_code, headers=kept, content=body, request=request)


async def content_of(response: Response, destination: Destination) -> bytes:
    """The decoded body, which is not read any further than allowed."""
    parts, size = list[bytes](), 0
    async with aclosing(response.aiter_bytes()) as content:
        async for part in content:
            size += len(part)
            if max(size, response.num_bytes_downloaded) > destination.max_bytes:
                raise ResponseTooLarge(
                    destination.name, f"answered more than {destination.max_bytes} bytes"
                )
            parts.append(part)
    return b"".join(parts)


def allowed_seconds(destination: Destination) -> float:
    """How long an attempt may take: it ends before the request or job that it is part of."""
    seconds, limit = destination.timeout_seconds, deadline.get()
    if limit is None:
        return seconds
    left = limit - asyncio.get_running_loop().time()
    return min(seconds, left - min(left * RESERVED, MOST_RESERVED))


def is_in_time(wait: float) -> bool:
    """Whether there is time for another attempt after this delay."""
    limit = deadline.get()
    late = limit is not None and asyncio.get_running_loop().time() + wait >= limit
    return wait <= LONGEST_DELAY and not late


def cost_of(failure: OutboundFailed) -> int:
    """What a retry costs: more after a timeout, which has cost the destination more too."""
    return COST_OF_TIMEOUT if isinstance(failure, DestinationTooSlow) else COST


def origin(url: URL) -> tuple[str, str, int | None]:
    """The server that a URL leads to."""
    return url.scheme, url.host, url.port
