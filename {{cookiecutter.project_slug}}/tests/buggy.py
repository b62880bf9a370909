"""The service with bugs: `uvicorn --factory tests.buggy:create`."""

from collections.abc import AsyncGenerator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from app.core.db.session import SessionDep
from app.core.feature import Feature
from app.core.jobs import job
from app.core.jobs.outbox import enqueue
from app.core.jobs.work import Work
from app.core.routing import SERVICE, router as new_router
from app.core.security.access import public
from app.installed import FEATURES
from app.main import create_app

SECRET = "hunter2"
router = new_router("/bugs", tag="bugs", about=SERVICE, prefix="")


@job("buggy.fail", retries=0)
async def fail(work: Work) -> None:
    """Fail."""
    raise ValueError(f"password={SECRET}")


@router.get("/endpoint", dependencies=[public])
async def endpoint() -> None:
    """Fail before the response."""
    raise ValueError(f"password={SECRET}")


@router.get("/stream", dependencies=[public])
async def stream() -> StreamingResponse:
    """Fail once the response has begun."""

    async def parts() -> AsyncGenerator[bytes]:
        yield b"x"
        raise ValueError(f"password={SECRET}")

    return StreamingResponse(parts())


@router.post("/job", dependencies=[public])
async def begin(session: SessionDep) -> None:
    """Have a job fail."""
    await enqueue(session, fail)


def create() -> FastAPI:
    """The application."""
    return create_app(features=[*FEATURES, Feature(router=router, jobs=(fail,))])
