"""Run the service, and manage its database and settings."""

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Generator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from logging import getLogger
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn
from alembic.util import CommandError
from fastapi.routing import iter_route_contexts
from pydantic import ValidationError
from uvicorn.supervisors import ChangeReload

from app.core import configuration, logging
from app.core.db import migrations
from app.core.db.embedded import ensure_database
from app.core.db.errors import DatabaseUnavailable
from app.core.db.refusals import Refused, is_lasting
from app.core.db.session import connect
from app.core.errors import Failure
from app.core.heads import BoundedHead
from app.core.service import Service
from app.core.settings import Settings
from app.core.workers import run_workers
from app.installed import FEATURES, SETTINGS
from app.main import create_app
from app.seed import demo, seed
from app.service import configured_for, running
from app.tools.openapi_diff import compare_documents

cli = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
db = typer.Typer(no_args_is_help=True, help="Migrate the database.")
settings_cli = typer.Typer(no_args_is_help=True, help="Inspect the settings.")
cli.add_typer(db, name="db")
cli.add_typer(settings_cli, name="settings")

Port = Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
FACTORY = "app.main:create_app"

logger = getLogger(__name__)


def leave(number: int, frame: object) -> None:
    """Exit by an exception, so that everything that was started is stopped."""
    sys.exit(128 + number)


@contextmanager
def ready_settings() -> Generator[Settings]:
    """The settings from the environment, with a database; child processes inherit its URL."""
    signal.signal(signal.SIGTERM, leave)
    with ensure_database(Settings()) as settings:
        if settings.database_url is not None:
            os.environ["DATABASE_URL"] = settings.database_url.render_as_string(False)
        yield settings


def bind(host: str, port: int) -> socket.socket:
    """The socket for requests, bound before anything else starts, so that a used port fails early."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    if os.name == "posix":  # elsewhere it would take over a port in use
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise RuntimeError(
            f"cannot listen on {host}:{port} ({error.strerror}): choose another port with"
            " --port, or another address with --host"
        ) from None
    listener.set_inheritable(True)
    return listener


def base_url(host: str, port: int) -> str:
    """The URL to open in a browser."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listening_on(settings: Settings, host: str, port: int) -> Settings:
    """The settings with the service's URL, unless it is configured; child processes inherit it."""
    if "service_url" in settings.model_fields_set:
        return settings
    here = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104, all addresses
    os.environ["SERVICE_URL"] = url = base_url(here, port)
    return settings.model_copy(update={"service_url": url})


def run(listener: socket.socket, **options: Any) -> None:  # noqa: ANN401, uvicorn's own
    """Serve requests on `listener`, in as many processes as the options say."""
    config = uvicorn.Config(
        FACTORY, factory=True, http=BoundedHead, access_log=False, log_config=None, **options
    )
    server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt):
        if config.should_reload:
            ChangeReload(config, target=server.run, sockets=[listener]).run()
        elif config.workers > 1:
            run_workers(config, listener)
        else:
            server.run(sockets=[listener])


@cli.command()
def dev(host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Run for development: start and migrate the database, and reload on changes."""
    listener = bind(host, port)
    with ready_settings() as settings:
        migrations.upgrade(settings)
        typer.echo(asyncio.run(prepare(listening_on(settings, host, port))), nl=False)
        typer.echo(f"{base_url(host, port)}/docs")
        run(listener, reload=True, reload_dirs=["app", "migrations"])


async def prepare(settings: Settings) -> str:
    """Seed a migrated database; returns what to print for the developer."""
    async with running(settings, work=False) as service:
        await seed(service)
        return await demo(service)


@cli.command()
def serve(
    host: Host = "0.0.0.0",  # noqa: S104, a container listens on all its addresses
    port: Port = 8000,
    workers: Annotated[int, typer.Option(help="Number of processes.", min=1)] = 1,
) -> None:
    """Run the service; migrate first, with `app db upgrade`."""
    listener = bind(host, port)
    with ready_settings() as settings:
        if workers > 1:  # each counts on its own, and the one scraped adds up
            configuration.check_several(settings, configured_for().values())
            os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", tempfile.mkdtemp(prefix="metrics-"))
        listening_on(settings, host, port)
        asyncio.run(try_database(settings))
        logger.info("listening on %s", base_url(host, port))
        run(
            listener,
            workers=workers,
            forwarded_allow_ips=settings.trusted_proxies,
            timeout_graceful_shutdown=settings.shutdown_timeout,
            timeout_worker_healthcheck=settings.worker_timeout,
        )


async def try_database(settings: Settings) -> None:
    """Refuse to start with a wrong login or database; an unreachable one may come back."""
    try:
        async with connect(settings):
            pass
    except DatabaseUnavailable as error:
        if is_lasting(error):
            raise


@db.command()
def upgrade(revision: str = "head") -> None:
    """Upgrade the database to REVISION."""
    with ready_settings() as settings:
        migrations.upgrade(settings, revision)
        if revision == "head":
            asyncio.run(fill(settings))


async def fill(settings: Settings) -> None:
    """Seed a migrated database."""
    async with running(settings, work=False) as service:
        await seed(service)


@db.command(context_settings={"ignore_unknown_options": True})  # -1 is not an option
def downgrade(revision: str) -> None:
    """Downgrade the database to REVISION, such as -1 or base."""
    with ready_settings() as settings:
        migrations.downgrade(settings, revision)


@db.command()
def revision(message: Annotated[str, typer.Option("--message", "-m")]) -> None:
    """Generate a migration from changes to the models."""
    with ready_settings() as settings:
        migrations.upgrade(settings)
        migrations.revise(settings, message)


@db.command()
def check() -> None:
    """Fail if the models and the migrated database differ."""
    with ready_settings() as settings:
        migrations.check(settings)


@settings_cli.command("check")
def check_settings() -> None:
    """Show the settings, with secrets masked; fail and list every fault if they are invalid."""
    for kind in SETTINGS:
        typer.echo(kind().model_dump_json(indent=2))


@cli.command()
def routes() -> None:
    """List every route."""
    for context in iter_route_contexts(create_app().routes):
        methods = ",".join(sorted(getattr(context, "methods", None) or ()))
        typer.echo(f"{methods:20} {context.path}")


@cli.command()
def openapi(output: Annotated[Path | None, typer.Option(help="File to write to.")] = None) -> None:
    """Print the OpenAPI document."""
    document = json.dumps(create_app().openapi(), indent=2, sort_keys=True)
    if output:
        output.write_text(document + "\n", encoding="utf-8")
    else:
        typer.echo(document)


cli.command("openapi-diff")(compare_documents)
for feature in FEATURES:
    if feature.cli:
        cli.add_typer(feature.cli)


def opening() -> AbstractAsyncContextManager[Service]:
    """The service, for commands of features."""
    return running(Settings(), work=False)


def main() -> None:
    """Run a command; report faults of the settings or the database without a stack trace."""
    try:
        configuration.check(SETTINGS)
        logging.configure(Settings())
        for name, meant in configuration.misspelt(SETTINGS, os.environ):
            logger.warning("%s is not a setting: did you mean %s?", name, meant)
        cli(obj=opening)
    except configuration.UnfitSettings as unfit:
        for fault in unfit.faults:
            typer.echo(f"settings: {fault}", err=True)
        sys.exit(2)
    except ValidationError as invalid:
        for error in invalid.errors():
            typer.echo(f"error: {error['msg'].removeprefix('Value error, ')}", err=True)
        sys.exit(1)
    except (CommandError, Failure, OSError, RuntimeError) as error:
        refusal = error.__cause__ if isinstance(error.__cause__, Refused) else error
        typer.echo(f"error: {str(refusal) or type(refusal).__name__}", err=True)  # some are empty
        sys.exit(1)
