"""The web service: `app serve`, or `uvicorn --factory app.main:create_app`."""

import gc
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import metadata
from typing import TypedDict

from fastapi import FastAPI

from app.core import configuration, docs, errors, logging, openapi
from app.core.draining import Closing, Draining, drained, seconds_of
from app.core.feature import Feature, Kinds
from app.core.middleware import middleware
from app.core.routing import Shortcut
from app.core.security.access import Early
from app.core.security.mounting import Guarded
from app.core.service import Service
from app.core.settings import Settings
from app.core.telemetry import Telemetry, merged
from app.installed import FEATURES, SETTINGS
from app.service import configured_for, observed, running, telemetry_of


class State(TypedDict):
    """The contents of every `request.state`."""

    service: Service


def lifespan_of(
    settings: Settings,
    features: Sequence[Feature],
    configured: Kinds,
    telemetry: Sequence[Telemetry],
) -> Callable[[FastAPI], AbstractAsyncContextManager[State]]:
    """What opens the service when the server starts, and drains and closes it when the server stops."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[State]:
        logging.configure(settings)
        draining = Draining()

        def begin() -> None:
            app.middleware_stack = Closing(app.middleware_stack or app.build_middleware_stack())

        opening = running(
            settings,
            work=True,
            features=features,
            configured=configured,
            telemetry=telemetry,
            draining=draining,
        )
        with drained(draining, seconds_of(settings), begin):
            async with opening as service, observed(service):
                # What lives as long as the process is not searched for garbage, which stops it for a tenth of a second;
                # and what a request makes is rarely garbage in cycles: searching after every few hundred objects is a seventh of it.
                gc.freeze()
                before = gc.get_threshold()
                gc.set_threshold(10_000)
                yield {"service": service}
                gc.set_threshold(*before)
                gc.unfreeze()

    return lifespan


def create_app(settings: Settings | None = None, features: Sequence[Feature] = FEATURES) -> FastAPI:
    """The application for these settings, by default those from the environment."""
    if settings is None:
        configuration.check(SETTINGS)
        settings = Settings()
    logging.hand_over()
    configured = configured_for(features)
    telemetry = telemetry_of(settings, configured, features)

    about = metadata("app")
    app = FastAPI(
        title=settings.project_name,
        summary=about["Summary"],
        version=about["Version"],
        lifespan=lifespan_of(settings, features, configured, telemetry),
        openapi_url=docs.document_url(settings),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=openapi.operation_id,
        telemetry=merged(telemetry),
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
