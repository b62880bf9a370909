"""Executing a request once, whatever is retried, by however many processes.

A claim is committed before anything else. The response of a success is committed together with what was done, so that
there is never one without the other; that of a failure after the rollback. If the process dies before, nothing was
done, and the request may be executed again once the claim's lease has expired.
"""

import base64
import hashlib
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Self
from uuid import UUID, uuid4

import structlog
from prometheus_client import Counter
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.carriers import partition
from app.core.db.base import utc_now
from app.core.db.errors import LostRace, refusing
from app.core.db.freshness import wrote
from app.core.db.session import Database, unit_of_work
from app.core.errors import Conflict, Failure, Forbidden, Unauthorized, Unavailable, Unprocessable
from app.core.jobs import UnreadableArguments
from app.core.jobs.sealing import seal, unseal
from app.core.security.principal import Principal
from app.core.service import service_of
from app.features.idempotency import repository
from app.features.idempotency.models import IdempotencyKey

log = structlog.stdlib.get_logger(__name__)

REPLAYS = Counter("idempotency_replays", "Requests that were answered as before")

MARGIN = timedelta(seconds=15)
"""How much longer than a request may take its claim is honored."""
LONGEST = 255
"""How long a key may be."""
BARE = re.compile(r"[!-~]+")
QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])+)"')
"""A string of RFC 9651."""
ATTEMPTS = 5
"""How often a claim is attempted while others take and release it."""


class IdempotencyKeyReused(Unprocessable):
    """The key was used for a different request."""

    def __init__(self) -> None:
        super().__init__(
            "This idempotency key was used for a different request. Use a new key for each request."
        )


class RequestInProgress(Conflict):
    """The same request is being executed."""

    headers = {"Retry-After": "1"}  # noqa: RUF012, as that of each failure

    def __init__(self) -> None:
        super().__init__(
            "A request with this idempotency key is still in progress. Try again shortly."
        )


class ResponseUnreadable(Conflict):
    """The response was encrypted with a key that the service no longer has."""

    def __init__(self) -> None:
        super().__init__(
            "The response to this idempotency key can no longer be read. Check whether the request"
            " was executed, and use a new key."
        )


class InvalidKey(Failure):
    """The key is required but missing, or malformed."""

    def __init__(self) -> None:
        super().__init__(
            f"Give an Idempotency-Key of 1 to {LONGEST} visible ASCII characters, such as a random UUID: a new one"
            " for each request, and the same one when you retry it."
        )


class Taken(Exception):
    """Another request has claimed the key meanwhile."""


AGAIN = (Unavailable, LostRace, Unauthorized, Forbidden)
"""What may succeed later, with the same request by the same caller."""


@contextmanager
def logged(event: str) -> Generator[None]:
    """Only log a failure: the error that led here is what the client must learn of."""
    try:
        yield
    except LostRace:
        raise
    except Exception:
        log.exception(event)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response that can be repeated."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes

    def stored(self) -> dict[str, Any]:
        """As JSON."""
        body = base64.b64encode(self.body).decode()
        return {"status": self.status, "headers": [*map(list, self.headers)], "body": body}

    @classmethod
    def of(cls, stored: dict[str, Any]) -> Self:
        """The answer that was stored."""
        headers = [(str(name), str(value)) for name, value in stored["headers"]]
        return cls(stored["status"], headers, base64.b64decode(stored["body"]))


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to execute a request."""

    database: Database
    key: str
    id: UUID

    async def settle(self, session: AsyncSession, answer: Answer) -> None:
        """Record the answer in the transaction of what was done; refuse if the claim was lost."""
        sealed = seal(service_of(session).keys, answer.stored())
        if not await repository.settle(session, self.key, self.id, sealed):
            raise LostRace

    async def record(self, answer: Answer) -> None:
        """Record the answer to a failure in a transaction of its own, unless the work was committed before."""
        with suppress(LostRace), logged("idempotent_answer_not_recorded"):
            async with unit_of_work(self.database) as session:
                await self.settle(session, answer)

    async def release(self) -> None:
        """Let the request be executed again: nothing was done. If that fails, the lease ends."""
        with logged("idempotency_key_not_released"):
            async with unit_of_work(self.database) as session:
                await repository.release(session, self.key, self.id)


def digest(*parts: object) -> str:
    """A digest of these."""
    texts = [
        hashlib.sha256(part).hexdigest() if isinstance(part, bytes) else str(part) for part in parts
    ]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def key_in(text: str) -> str:
    """The key that a client has given, with or without quotes."""
    quoted = QUOTED.fullmatch(text)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text
    if len(key) > LONGEST or not (quoted or (BARE.fullmatch(key) and not key.startswith('"'))):
        raise InvalidKey
    return key


def key_of(principal: Principal, operation: str, key: str) -> str:
    """What identifies a request: the client's key belongs to one caller, customer and operation."""
    return digest(*partition(), principal.user_id, operation, key)


async def claim(database: Database, key: str, request: str) -> Claim | Answer:
    """The right to execute the request, or its answer if it was executed."""
    lease = MARGIN + timedelta(seconds=service_of(database).settings.request_timeout)
    for _ in range(ATTEMPTS):
        new, until = Claim(database, key, uuid4()), utc_now() + lease
        found = await repository.find(database, key)
        if found is None:
            row = IdempotencyKey(key=key, request=request, claim=new.id, leased_until=until)
            try:
                with refusing("uq_idempotency_keys_key", Taken()):
                    async with unit_of_work(database) as session:
                        session.add(row)
            except Taken:
                continue
            except BaseException:  # it may have been committed nevertheless
                await new.release()
                raise
            return new
        if found.request != request:
            raise IdempotencyKeyReused
        if found.answer is not None:
            REPLAYS.inc()
            wrote()  # the first response, with what it said of that, may have been lost
            return opened(service_of(database).keys, found.answer)
        if found.leased_until >= utc_now():
            break
        async with unit_of_work(database) as session:
            if await repository.take_over(session, key, found.claim, new.id, until):
                return new
    raise RequestInProgress


def opened(keys: Sequence[str], sealed: dict[str, Any]) -> Answer:
    """The answer that was sealed."""
    try:
        return Answer.of(unseal(keys, sealed))
    except UnreadableArguments:
        raise ResponseUnreadable from None


@asynccontextmanager
async def held(
    claim: Claim, failed: Callable[[Exception], Awaitable[Answer | None]]
) -> AsyncGenerator[None]:
    """Execute the request; `failed` gives the answer of a failure, or nothing if it may be executed again."""
    try:
        yield
    except Exception as error:
        answer = None if isinstance(error, AGAIN) else await failed(error)
        await (claim.release() if answer is None else claim.record(answer))
        raise
    except BaseException:  # the request was cancelled
        await claim.release()
        raise


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request that is not an HTTP request of its own, such as a mutation."""

    database: Database
    principal: Principal
    operation: str
    key: str
    """The client's."""
    content: BaseModel


async def once(
    request: KeyedRequest,
    unit_of_work: Callable[[], AbstractAsyncContextManager[AsyncSession]],
    work: Callable[[AsyncSession], Awaitable[str]],
) -> str:
    """What `work` returns, or has returned to the same request; if it fails, it may be done again."""
    key = key_of(request.principal, request.operation, key_in(request.key))
    found = await claim(request.database, key, digest(request.content.model_dump_json()))
    if isinstance(found, Answer):
        return found.body.decode()
    async with held(found, nothing), unit_of_work() as session:
        done = await work(session)
        await found.settle(session, Answer(HTTPStatus.OK, (), done.encode()))
    return done


async def nothing(error: Exception) -> None:
    """No answer to a failure."""
