"""PgBouncer in front of a server of its own, in transaction mode, with two connections for all clients."""

import asyncio
import os
import socket
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import pytest

from app.core.db import migrations
from app.core.db.dialects import embedded_postgresql as embedded
from app.core.settings import Pooler, Settings
from tests.ports import free_port
from tests.standby import Server

LOGIN = "pooled"
CONNECTIONS = 2
DISCONNECT = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{LOGIN}'"  # noqa: S608, our own name
"""Has the pooler connect anew."""
SETTINGS = """\
[databases]
* = host=[folder] port=[inner]
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = [port]
unix_socket_dir =
auth_type = trust
auth_file = [directory]/users
pool_mode = transaction
default_pool_size = [connections]
"""


@contextmanager
def pooled(settings: Settings) -> Generator[tuple[Settings, Server]]:
    """The settings of a migrated service behind the pooler, and its server."""
    program = which("pgbouncer") or pytest.skip("PgBouncer is not installed")
    with TemporaryDirectory(prefix="pooler-") as name:
        directory = Path(name)
        server = Server(directory / "primary")
        server.start()
        try:
            asyncio.run(server.ask(f"CREATE ROLE {LOGIN} LOGIN"))
            with listening(program, directory, server) as port:
                url = server.url.set(username=LOGIN, host="127.0.0.1", port=port, query={})
                changes = {
                    "database_url": url,
                    "migration_database_url": server.url,
                    "database_pooler": Pooler.TRANSACTION,
                }
                ours = settings.model_copy(update=changes)
                migrations.upgrade(ours)
                yield ours, server
        finally:
            server.stop()


@contextmanager
def listening(program: str, directory: Path, server: Server) -> Generator[int]:
    """The pooler's port; it refuses to run as root."""
    port = free_port()
    values = {
        "folder": server.folder,
        "inner": embedded.PORT,
        "port": port,
        "directory": directory,
        "connections": CONNECTIONS,
    }
    text = SETTINGS
    for key, value in values.items():
        text = text.replace(f"[{key}]", str(value))
    owner = embedded.account()
    os.chown(directory, owner, -1)
    for name, content in {"settings.ini": text, "users": f'"{LOGIN}" ""\n'}.items():
        (directory / name).write_text(content)
        os.chown(directory / name, owner, -1)
    process = subprocess.Popen(  # noqa: S603, our own settings
        [program, "-q", directory / "settings.ini"],
        user=owner if os.geteuid() == 0 else None,
        cwd="/",
    )
    try:
        until = monotonic() + 20
        while not answers(port):
            assert monotonic() < until, "PgBouncer does not start"
            sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


def answers(port: int) -> bool:
    """Whether something listens there."""
    with socket.socket() as probe:
        return not probe.connect_ex(("127.0.0.1", port))
