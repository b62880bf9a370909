"""The windows of all processes together, in Redis."""

from asyncio import Semaphore
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from time import monotonic

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import AuthenticationError, RedisError

from app.core.errors import Unavailable
from app.features.limits.windows import Counter, Memory, Window

log = structlog.stdlib.get_logger(__name__)

SECONDS = 0.5
"""How long an answer may take: a request waits for it."""
PAUSE = 1.0
"""Seconds for which a Redis that did not answer is not asked again."""
CONNECTIONS, SPARE = 20, 5
"""For counting; and for checks and what is forgotten."""

# The same as `Memory`, in one round trip, and by the clock of Redis. The last argument is the weight.
HIT = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local found, answer, admitted = {}, {}, 1
for n, key in ipairs(KEYS) do
    local quota, seconds = tonumber(ARGV[2 * n - 1]), tonumber(ARGV[2 * n])
    local state = redis.call('HMGET', key, 's', 'c', 'p')
    local start, current, previous = tonumber(state[1]) or now, tonumber(state[2]) or 0, tonumber(state[3]) or 0
    local passed = now - start
    if passed >= 2 * seconds or passed < 0 then
        start, current, previous = now, 0, 0
    elseif passed >= seconds then
        start, current, previous = start + seconds, 0, current
    end
    local weight = math.min(tonumber(ARGV[#ARGV]), quota)
    if previous * (1 - (now - start) / seconds) + current + weight > quota then admitted = 0 end
    found[n] = {key, start, current, previous, weight, seconds}
end
for n, each in ipairs(found) do
    if admitted == 1 then
        each[3] = each[3] + each[5]
        redis.call('HSET', each[1], 's', string.format('%.6f', each[2]), 'c', each[3], 'p', each[4])
        redis.call('EXPIRE', each[1], 2 * each[6])
    end
    answer[n] = {string.format('%.6f', now - each[2]), tostring(each[3]), tostring(each[4])}
end
return {admitted, answer}
"""


class LimitsUnavailable(Unavailable):
    """Requests cannot be counted at the moment, and are refused (`LIMITS_CLOSED`)."""

    def __init__(self) -> None:
        super().__init__("The service cannot count requests at the moment. Try again shortly.")


class Shared:
    """Counts for every process that uses this Redis.

    While it does not answer, each process counts for itself, or refuses all requests if `closed`.
    """

    def __init__(self, client: Redis, *, closed: bool) -> None:
        self.client = client
        self.script = client.register_script(HIT)
        self.instead = None if closed else Memory()
        self.away_until = 0.0
        self.lines = Semaphore(CONNECTIONS)
        """As many as there are connections, so that waiting for one is no outage."""

    async def hit(self, counters: Sequence[Counter], weight: int) -> tuple[bool, Sequence[Window]]:
        """Count in one round trip."""
        keys = [key for key, _ in counters]
        arguments = [part for _, rate in counters for part in rate]
        async with self.lines:
            if self.may_ask():
                try:
                    admitted, seen = await self.script(keys, [*arguments, weight])
                except (RedisError, OSError) as error:
                    self.pause(error)
                else:
                    self.away_until = 0.0
                    return bool(admitted), [Window(*map(float, each)) for each in seen]
        if self.instead is None:
            raise LimitsUnavailable
        return await self.instead.hit(counters, weight)

    def may_ask(self) -> bool:
        """Whether Redis answers, as far as is known; after a pause, one request finds out for all."""
        if not self.away_until:
            return True
        if monotonic() < self.away_until:
            return False
        self.away_until = monotonic() + PAUSE
        return True

    def pause(self, error: Exception) -> None:
        """Ask again later."""
        log.warning("limits_unavailable", error=type(error).__name__, closed=self.instead is None)
        self.away_until = monotonic() + PAUSE

    async def forget(self, keys: Sequence[str]) -> None:
        """Start again; where that fails, what was counted fades out."""
        if self.instead:
            await self.instead.forget(keys)
        if not self.away_until:
            try:
                await self.client.delete(*keys)
            except (RedisError, OSError) as error:
                self.pause(error)

    async def check(self) -> str:
        """Whether Redis answers; without it, the service is not ready if it refuses all requests."""
        try:
            await self.ping()
        except (RedisError, OSError):
            if self.instead is None:
                raise
            return "degraded: Redis does not answer, each process counts for itself"
        return "ok"

    async def ping(self) -> None:
        """Fail if Redis does not answer."""
        await self.client.execute_command("PING")  # pyright: ignore[reportUnknownMemberType]


@asynccontextmanager
async def shared(url: str, *, closed: bool) -> AsyncGenerator[Shared]:
    """Fails with a wrong password; a Redis that cannot be reached may come back."""
    pool = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]
        url,
        max_connections=CONNECTIONS + SPARE,
        timeout=SECONDS,
        socket_timeout=SECONDS,
        socket_connect_timeout=SECONDS,
    )
    client = Redis.from_pool(pool)
    store = Shared(client, closed=closed)
    try:
        try:
            await store.ping()
        except AuthenticationError as error:
            raise RuntimeError(f"REDIS_URL: {error}: correct the user or the password") from None
        except (RedisError, OSError) as error:
            store.pause(error)
        yield store
    finally:
        await client.aclose()
