"""The web service: `app serve`, or `uvicorn --factory app.main:create_app`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import metadata
from typing import TypedDict

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from app.core import configuration, docs, errors, events, logging, middleware, openapi
from app.core.db.embedded import ensure_database
from app.core.db.session import Database, connect
from app.core.jobs import Queue, metrics
from app.core.jobs.outbox import QUEUE
from app.core.pagination import KEYS
from app.core.security.access import Authenticate
from app.core.security.keys import signing_keys
from app.core.settings import Settings, get_settings
from app.installed import FEATURES, JOBS, SETTINGS

# OpenTelemetry without a receiver costs a third of a small request.
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}


class State(TypedDict):
    """What every request can reach as `request.state`."""

    database: Database
    settings: Settings
    queue: Queue
    authenticate: Authenticate


def session_info(settings: Settings, queue: Queue) -> dict[str, object]:
    """What every session carries, for those who have nothing but a session."""
    return {KEYS: signing_keys(settings), QUEUE: queue}


def authenticator() -> Authenticate:
    """How callers show who they are, as the last feature says that offers it; it may ask another."""
    return [feature.authenticate for feature in FEATURES if feature.authenticate][-1]


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application of these settings; by default those of the environment."""
    if settings is None:
        configuration.check(SETTINGS)
        settings = get_settings()
    logging.hand_over()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[State]:
        logging.configure(settings)
        with ensure_database(settings) as complete:
            queue = complete.job_queue(complete, JOBS)
            async with (
                connect(
                    complete, session_info(complete, queue), patient=True, log=True
                ) as database,
                queue.working(session_info(complete, queue)),
            ):
                yield {
                    "database": database,
                    "settings": complete,
                    "queue": queue,
                    "authenticate": authenticator(),
                }

    about = metadata("app")
    app = FastAPI(
        title=settings.project_name,
        summary=about["Summary"],
        version=about["Version"],
        lifespan=lifespan,
        openapi_url=docs.document_url(settings),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=openapi.operation_id,
        telemetry=NO_TELEMETRY,
    )
    events.install(listener for feature in FEATURES for listener in feature.listeners)
    metrics.expect(job.queue for job in JOBS.values())
    errors.install(app)
    middleware.install(app, settings)
    docs.install(app, settings)
    openapi.install(app, [permission for feature in FEATURES for permission in feature.permissions])
    for feature in FEATURES:
        if feature.router:
            app.include_router(feature.router)
    return app
