"""The web service: `app serve`, or `uvicorn --factory app.main:create_app`."""

import gc
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import metadata
from typing import TypedDict

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from app.core import configuration, docs, errors, logging, openapi
from app.core.feature import Feature
from app.core.middleware import middleware
from app.core.routing import Shortcut
from app.core.security.access import Early
from app.core.security.mounting import Guarded
from app.core.service import Service
from app.core.settings import Settings
from app.installed import FEATURES, SETTINGS
from app.service import running

# Telemetry that nothing collects would cost a third of a small request.
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}


class State(TypedDict):
    """The contents of every `request.state`."""

    service: Service


def create_app(settings: Settings | None = None, features: Sequence[Feature] = FEATURES) -> FastAPI:
    """The application for these settings, by default those from the environment."""
    if settings is None:
        configuration.check(SETTINGS)
        settings = Settings()
    logging.hand_over()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[State]:
        logging.configure(settings)
        async with running(settings, work=True, features=features) as service:
            # What lives as long as the process is not searched for garbage, which stops it for a tenth of a second.
            gc.freeze()
            yield {"service": service}
            gc.unfreeze()

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
        middleware=middleware(
            settings,
            headers=[
                name
                for feature in features
                for name in (*(each.name for each in feature.headers), *feature.accepted)
            ],
            exposed=[each for feature in features for each in feature.exposed],
        ),
    )
    errors.install(app)
    docs.install(app, settings)
    openapi.install(app, features)
    for feature in features:
        if feature.router:
            app.include_router(feature.router)
        for mount in feature.mounts:
            app.mount(mount.path, Guarded(mount))
    app.router.middleware_stack = Shortcut(app, Early())
    return app
