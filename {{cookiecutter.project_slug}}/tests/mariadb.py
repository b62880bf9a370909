"""A MariaDB server of the test's own."""

import os
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import URL

from app.core.db.dialects import mysql
from tests.ports import free_port


def program(name: str) -> str:
    """Where it is; it may not be in the path of all users."""
    path = f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"
    if found := which(name, path=path):
        return found
    if os.environ.get("REQUIRE_SERVERS") == "1":
        pytest.fail(f"{name} is not installed")
    pytest.skip(f"{name} is not installed")


class Server:
    """MariaDB on data of its own."""

    lock = "LOCK TABLES jobs WRITE, auth_sessions WRITE"
    connections = (
        "SELECT count(*) FROM information_schema.processlist"
        " WHERE db = DATABASE() AND id <> CONNECTION_ID()"
    )
    unfinished = "SELECT count(*) FROM information_schema.innodb_trx"

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.user = ["--user=root"] if os.geteuid() == 0 else []
        install = program("mariadb-install-db")
        options = [f"--datadir={data}", "--auth-root-authentication-method=normal"]
        done = [install, "--no-defaults", "--skip-test-db", *self.user, *options]
        subprocess.run(done, check=True, stdout=subprocess.DEVNULL)  # noqa: S603

    @property
    def url(self) -> URL:
        """Its database."""
        return URL.create(mysql.driver, "root", host="127.0.0.1", port=self.port, database="app")

    @property
    def processes(self) -> list[int]:
        """Its only one."""
        assert self.process
        return [self.process.pid]

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = [f"--datadir={self.data}", f"--port={self.port}", "--bind-address=127.0.0.1"]
        more = [f"--socket={self.data}/socket", f"--log-error={self.data}/log"]
        command = [program("mariadbd"), "--no-defaults", *self.user, *options, *more]
        self.process = subprocess.Popen(command)  # noqa: S603
        self.run("CREATE DATABASE IF NOT EXISTS app")

    def run(self, statement: str) -> None:
        """Execute it as the administrator."""
        command = [program("mariadb"), "--no-defaults", f"--socket={self.data}/socket", "-uroot"]
        assert self.process
        for _ in range(300):
            done = subprocess.run([*command, "-e", statement], check=False, capture_output=True)  # noqa: S603
            if done.returncode == 0:
                return
            wait_a_moment(self.process)
        pytest.fail("MariaDB does not answer")

    def crash(self) -> None:
        """End it as a crash would."""
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def wait_a_moment(process: subprocess.Popen[bytes]) -> None:
    """The process must not end meanwhile."""
    try:
        process.wait(0.2)
    except subprocess.TimeoutExpired:
        return
    pytest.fail("MariaDB does not start")


@contextmanager
def running() -> Generator[Server]:
    """One that is gone afterwards."""
    with TemporaryDirectory(prefix="mariadb-") as directory:
        server = Server(Path(directory, "data"))
        server.start()
        try:
            yield server
        finally:
            server.crash()
