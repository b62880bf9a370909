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
from pydantic import ValidationError
from uvicorn.supervisors import ChangeReload

from app.core import configuration, logging
from app.core.db import migrations
from app.core.db.embedded import ensure_database
from app.core.db.errors import DatabaseUnavailable, NotMigrated
from app.core.db.refusals import is_lasting
from app.core.db.session import connect, probe
from app.core.errors import Failure
from app.core.heads import BoundedHead
from app.core.service import Service
from app.core.settings import DEPLOYED, Settings
from app.core.workers import run_workers
from app.installed import FEATURES, SETTINGS
from app.main import create_app
from app.seed import demo, seed
from app.service import configured_for, running
from app.tools import advice
from app.tools.openapi_diff import compare_documents
from app.tools.routes import print_routes
from app.tools.sample import add_sample
from app.tools.settings import print_settings
from app.tools.shell import add_shell

cli = typer.Typer(no_args_is_help=True, help=__doc__)
db = typer.Typer(no_args_is_help=True, help="Migrate the database.")
settings_cli = typer.Typer(no_args_is_help=True, help="Inspect the settings.")
cli.add_typer(db, name="db")
cli.add_typer(settings_cli, name="settings")

Port = Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
FACTORY = "app.main:create_app"
METRICS = "PROMETHEUS_MULTIPROC_DIR"
COMPLETING = "_APP_COMPLETE"  # set by shells that ask which commands there are
ABOUT_ITSELF = {"--help", "--install-completion", "--show-completion"}

logger = getLogger(__name__)


def leave(number: int, frame: object) -> None:
    """Exit by an exception, so that everything that was started is stopped."""
    sys.exit(128 + number)


def finish(number: int, frame: object) -> None:
    """Exit without a failure: uvicorn repeats the signal that it stopped for, once it has stopped in order."""
    sys.exit(0)


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
        listener.close()
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
            signal.signal(signal.SIGTERM, finish)
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


@contextmanager
def shared_metrics(workers: int) -> Generator[None]:
    """A folder for the metrics of several processes, which the one that is scraped adds up, unless one is configured."""
    if workers == 1 or METRICS in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[METRICS] = folder
        try:
            yield
        finally:
            del os.environ[METRICS]


@cli.command()
def serve(
    host: Host = "0.0.0.0",  # noqa: S104, a container listens on all its addresses
    port: Port = 8000,
    workers: Annotated[int, typer.Option(help="Number of processes.", min=1)] = 1,
) -> None:
    """Run the service. Run `app db upgrade` first."""
    listener = bind(host, port)
    with ready_settings() as settings, shared_metrics(workers):
        if workers > 1:
            configuration.check_several(settings, configured_for().values())
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
    """Refuse to start with a wrong login or database; one that is unreachable or behind may come back."""
    try:
        async with connect(settings) as database:
            await probe(database, migrations.ahead)
    except NotMigrated as error:
        logger.warning("%s Until then, requests are refused.", error)
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


@db.command("sample")
def sample_rows(
    rows: Annotated[int, typer.Option(help="Rows of each kind.", min=1, max=10**6)] = 10_000,
    seed: Annotated[int, typer.Option(help="The same seed always gives the same rows.", min=0)] = 0,
) -> None:
    """Fill a development database with sample data; existing rows are skipped."""
    if (environment := Settings().environment) in DEPLOYED:
        raise RuntimeError(f"example data is for development, and ENVIRONMENT is {environment}")
    with ready_settings() as settings:
        add_sample(settings, rows, seed)


@settings_cli.command("check")
def check_settings() -> None:
    """Show the settings, with secrets masked, and what sets each; list every fault and fail if they are invalid."""
    print_settings(SETTINGS)


@cli.command()
def routes(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List every route, and who may call it."""
    print_routes(create_app(), FEATURES, as_json=as_json)


@cli.command()
def openapi(output: Annotated[Path | None, typer.Option(help="File to write to.")] = None) -> None:
    """Print the OpenAPI document."""
    document = json.dumps(create_app().openapi(), indent=2, sort_keys=True)
    if output:
        output.write_text(document + "\n", encoding="utf-8")
    else:
        typer.echo(document)


cli.command("openapi-diff")(compare_documents)
add_shell(cli, FEATURES)
for feature in FEATURES:
    if feature.cli:
        cli.add_typer(feature.cli)


def opening() -> AbstractAsyncContextManager[Service]:
    """The service, for commands of features."""
    return running(Settings(), work=False)


def main() -> None:
    """Run a command; report faults of the settings or the database without a stack trace."""
    try:
        if COMPLETING not in os.environ and not ABOUT_ITSELF.intersection(sys.argv):
            configuration.check(SETTINGS)
            logging.configure(Settings())
            for name, meant in configuration.misspelled(SETTINGS, os.environ):
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
    except (Failure, OSError, RuntimeError) as error:
        typer.echo(f"error: {advice.on(error)}", err=True)
        sys.exit(1)
