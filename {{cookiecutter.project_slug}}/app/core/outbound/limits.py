"""What protects the service and its destinations from each other."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from time import monotonic

import structlog

from app.core.outbound.destinations import Destination
from app.core.outbound.failures import (
    DestinationBusy,
    DestinationResting,
    DestinationTooSlow,
    OutboundFailed,
)
from app.core.outbound.metrics import OPEN, OPENED, WAITED

log = structlog.stdlib.get_logger(__name__)

QUOTA = 500
"""What all retries together may cost; as in the standard mode of the AWS SDKs."""
COST, COST_OF_TIMEOUT, EARNED = 5, 10, 1


class Quota:
    """A bucket of tokens that retries take and successes give back, so that an outage is not amplified."""

    def __init__(self) -> None:
        self.left = QUOTA

    def take(self, cost: int) -> bool:
        """Pay for a retry, if there is enough."""
        if cost > self.left:
            return False
        self.left -= cost
        return True

    def give(self, tokens: int) -> None:
        """Return what the last retry cost, or add a little for a success without one."""
        self.left = min(QUOTA, self.left + (tokens or EARNED))


class Breaker:
    """Opens after failures in succession; after a rest, a single call probes whether to close."""

    def __init__(self, destination: Destination) -> None:
        self.name, self.most = destination.name, destination.failures
        self.rest = destination.rest_seconds
        self.failed = 0
        self.resting_until: float | None = None
        self.probing = False

    @contextmanager
    def passing(self, *, hurried: bool) -> Generator[None]:
        """Let a call pass, and learn from it; from a timeout nothing if it was `hurried`."""
        probe, healthy = self.resting_until is not None, None
        if probe:
            self.begin_probe()
        try:
            yield
            healthy = True
        except OutboundFailed as failure:
            silent = hurried and isinstance(failure, DestinationTooSlow)
            healthy = None if silent else failure.healthy
            raise
        finally:
            self.learn(probe=probe, healthy=healthy)

    def begin_probe(self) -> None:
        """Let a single call pass after the rest."""
        left = (self.resting_until or 0) - monotonic()
        if left > 0 or self.probing:
            raise DestinationResting(self.name, "failed too often", after=max(left, 1.0))
        self.probing = True

    def learn(self, *, probe: bool, healthy: bool | None) -> None:
        """Count what a call says, if anything; while open, only the probe counts."""
        if probe:
            self.probing = False
        if healthy is None or (self.resting_until is not None and not probe):
            return
        self.failed = 0 if healthy else self.failed + 1
        if healthy and probe:
            self.resting_until = None
            OPEN.labels(self.name).set(0)
            log.info("breaker_closed", destination=self.name)
        elif probe or (0 < self.most <= self.failed):
            self.resting_until = monotonic() + self.rest
            OPEN.labels(self.name).set(1)
            OPENED.labels(self.name).inc()
            log.warning("breaker_opened", destination=self.name, failures=self.failed)


class Bulkhead:
    """So many calls at once, and so many that wait: one slow destination does not occupy the whole service."""

    def __init__(self, destination: Destination) -> None:
        self.name, self.most = destination.name, destination.waiting
        self.places = asyncio.Semaphore(destination.concurrent)
        self.waiting = 0

    @asynccontextmanager
    async def place(self, until: float) -> AsyncGenerator[None]:
        """Wait for a place, and leave it at the end."""
        await self.enter(until)
        try:
            yield
        finally:
            self.places.release()

    async def enter(self, until: float) -> None:
        """Wait for a place."""
        if not self.places.locked():
            await self.places.acquire()
            return
        if self.waiting >= self.most:
            raise DestinationBusy(self.name, "has too many calls waiting")
        self.waiting += 1
        try:
            with WAITED.labels(self.name).time():
                async with asyncio.timeout_at(until):
                    await self.places.acquire()
        except TimeoutError:
            raise DestinationBusy(self.name, "had no free place in time") from None
        finally:
            self.waiting -= 1
