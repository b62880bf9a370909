"""A test-only feature whose requests fail, enqueue jobs, and call other services."""

import asyncio
from collections.abc import AsyncGenerator

from pydantic import BaseModel
from sqlalchemy import bindparam, func, select, text
from starlette.responses import StreamingResponse

from app.core.db.session import DatabaseDep, SessionDep
from app.core.errors import Conflict
from app.core.feature import Feature
from app.core.jobs import job
from app.core.jobs.outbox import enqueue
from app.core.jobs.work import Work
from app.core.outbound import Destination
from app.core.routing import SERVICE, router as new_router
from app.core.security.access import public, signed_in
from app.features.users.models import User

router = new_router("/observed", tag="observed", about=SERVICE)


class Form(BaseModel):
    """What no report may contain."""

    password: str = ""


@job("observed.call", retries=0)
async def call(work: Work, *, url: str) -> None:
    """Request something of another service, between two statements."""
    await work.session.execute(select(func.count()).select_from(User))
    partner = Destination(name="observed", base_url=url)
    await work.service.outbound.call(partner, "GET", "/called?token=hunter2")


@job("observed.fail", retries=0, secret=True)
async def fail(work: Work, *, secret: str) -> None:
    """Fail with a secret in the message."""
    raise RuntimeError(secret)


@router.post("/calls", status_code=204, dependencies=[public])
async def enqueue_call(session: SessionDep, url: str) -> None:
    """Enqueue a job."""
    await enqueue(session, call, url=url)


@router.post("/failures", status_code=204, dependencies=[public])
async def enqueue_failure(session: SessionDep) -> None:
    """Enqueue a job that fails."""
    await enqueue(session, fail, secret="hunter2")


@router.get("/users", dependencies=[public])
async def find(database: DatabaseDep, email: str) -> int:
    """Read on the driver's own connection, and in a session."""
    rows = await database.rows(COUNT, {"email": email})
    return rows[0][0]


@router.post("/broken", dependencies=[public])
async def broken(session: SessionDep) -> None:
    """Execute what the database refuses."""
    await session.execute(text("SELECT 'ada@example.com' FROM nowhere"))


@router.get("/slow", dependencies=[public])
async def slow() -> None:
    """Take longer than requests may."""
    await asyncio.sleep(60)


@router.post("/things/{number}", dependencies=[signed_in])
async def raise_it(number: int, form: Form, kind: str = "bug") -> None:
    """Raise."""
    if kind == "bug":
        local = form.password
        raise ValueError(f"invalid: {local}")
    raise Conflict("expected")


@router.get("/stream", dependencies=[public])
async def stream() -> StreamingResponse:
    """Fail once the response has begun."""

    async def parts() -> AsyncGenerator[bytes]:
        yield b"begun"
        raise ValueError("hunter2")

    return StreamingResponse(parts())


COUNT = (
    select(func.count().label("count")).select_from(User).where(User.email == bindparam("email"))
)
feature = Feature(router=router, jobs=(call, fail))
