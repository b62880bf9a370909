"""The built-in database of a service, wherever its folder is and however its processes end."""

import os
import signal
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.processes import running, until, wait_for
from tests.template import Answers, environment, run

Installed = Callable[[Answers], Path]

pytestmark = pytest.mark.xdist_group("folders")

# A process that uses the database until its input ends.
USE = """
import sys
from pathlib import Path
from app.core.db.dialects import DIALECTS
with DIALECTS[0].embedded(Path(sys.argv[1])) as url:
    print(url.render_as_string(False), flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True)
class Place:
    """A project, a folder for its data, and one for temporary files, which must end up empty."""

    project: Path
    data: Path
    temporary: Path

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a process that uses it."""
        return {"DATA_DIR": str(self.data), "TMPDIR": str(self.temporary)}

    @property
    def app(self) -> Path:
        """The command."""
        return self.project / ".venv/bin/app"

    def servers(self) -> list[int]:
        """The processes that serve the data."""
        ours = os.fsencode(self.data / "postgresql")
        found = {
            pid for pid, words in commands() if words[0].endswith(b"/postgres") and ours in words
        }
        # A process that the server has just forked still has the server's command.
        return [pid for pid in found if parent(pid) not in found]

    @contextmanager
    def used(self) -> Generator[tuple[subprocess.Popen[str], str]]:
        """A process that uses the database, and its URL."""
        process = subprocess.Popen(
            [self.project / ".venv/bin/python", "-c", USE, self.data],
            cwd=self.project,
            env=environment(**self.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout
            yield process, process.stdout.readline()

    def left(self) -> list[object]:
        """What must not exist while the database is not in use."""
        return [*self.servers(), *self.temporary.iterdir()]


def commands() -> Generator[tuple[int, list[bytes]]]:
    """Every process on this machine, and its command."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            yield int(folder.name), (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue


def parent(pid: int) -> int:
    """The process that started this one."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[1])


@pytest.fixture
def place(installed: Installed, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A project with a built-in PostgreSQL."""
    project = installed({"database": "postgresql", "include_example": True})
    return Place(project, tmp_path / "sp ace" / "ünï", tmp_path_factory.mktemp("t"))


def test_it_serves_in_an_odd_folder(place: Place, tmp_path: Path) -> None:
    port = str(free_port())
    dev = [place.app, "dev", "--port", port]
    with running(*dev, cwd=place.project, log=tmp_path / "log", **place.environ) as process:
        wait_for(f"http://127.0.0.1:{port}/health/ready", 200)
        (server,) = place.servers()
        run(place.app, "db", "check", cwd=place.project, **place.environ)
        assert place.servers() == [server], "a second process uses the first one's server"
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)

    assert place.left() == []


def test_it_runs_far_below(place: Place) -> None:
    far = Place(place.project, place.data / ("deep/" * 40), place.temporary)
    with far.used() as (_, url):
        assert url.startswith("postgresql")
        assert len(far.servers()) == 1

    assert far.left() == []


def test_two_projects_do_not_meet(place: Place) -> None:
    other = Place(place.project, place.data / "other", place.temporary)
    with place.used() as (_, url), other.used() as (_, another):
        assert url != another
        assert len(place.servers()) == len(other.servers()) == 1

    assert place.left() == other.left() == []


def test_the_last_process_stops_the_server_though_another_was_killed(place: Place) -> None:
    with place.used() as (killed, url):
        killed.kill()
    (server,) = place.servers()

    with place.used() as (_, again):
        assert again == url
        assert place.servers() == [server]

    assert place.left() == []


def test_a_server_that_died_starts_again_at_the_same_address(place: Place) -> None:
    with place.used() as (_, url):
        (server,) = place.servers()
        os.kill(server, signal.SIGQUIT)  # as if the power went
        until(lambda: place.servers() == [])
        with place.used() as (_, again):
            assert again == url
            assert len(place.servers()) == 1

    assert place.left() == []


def refusal(place: Place) -> str:
    """The output of a failing `app db upgrade`."""
    done = subprocess.run(
        [place.app, "db", "upgrade"],
        cwd=place.project,
        env=environment(**place.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    return done.stderr


def test_it_gives_its_socket_to_no_folder_that_others_can_reach(place: Place) -> None:
    with place.used():
        (folder,) = place.temporary.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
    folder.mkdir()
    folder.chmod(0o777)  # another user's, created first

    said = refusal(place)

    assert said.startswith(f"error: {folder} is open to other users")
    assert len(said.splitlines()) == 1
    assert place.servers() == []


def test_it_says_in_a_few_lines_why_it_does_not_start(place: Place) -> None:
    with place.used():
        pass
    (place.data / "postgresql/PG_VERSION").write_text("12\n")

    said = refusal(place)

    assert said.startswith("error: the built-in PostgreSQL does not start: ")
    assert "set DATABASE_URL" in said.splitlines()[0]
    assert "FATAL:  database files are incompatible with server" in said
    assert len(said.splitlines()) <= 8
    assert place.left() == []
