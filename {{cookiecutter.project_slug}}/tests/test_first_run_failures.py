"""What fails when a project is tried out is reported in one message, which says what to do."""

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import make_url

from app.cli import try_database
from app.core.db.migrations import ROOT
from app.core.settings import Settings
from tests.commands import Run
from tests.test_settings import FIT

HOME = "/home/ada/service"
"""The project's folder in these messages."""
SAID = {
    "port": (
        "error: cannot listen on 127.0.0.1:8000 (Address already in use): choose another port with"
        " --port, or another address with --host"
    ),
    "rights": (
        f"error: {HOME}/.data: Permission denied: let this user write there, or name another folder;"
        " DATA_DIR is that of the built-in database"
    ),
    "disk": "error: No space left on device: free some space, and try again",
    "folder": (
        f"error: the built-in database and `.env` belong to the project in {HOME}: run this command in"
        " that folder, or set DATABASE_URL"
    ),
    "misspelled": (
        "settings: DATABSE_URL in .env is not a setting: did you mean DATABASE_URL?\n"
        "settings: SECRETKEY in .env is not a setting: did you mean SECRET_KEY?"
    ),
    "encoding": "settings: .env is not UTF-8: convert it",
    "secret": "settings: SECRET_KEY or PREVIOUS_SECRET_KEY is guessable: use at least 32 random bytes",
    "not migrated": (
        "The database has not been migrated: run `app db upgrade`. Until then, requests are refused."
    ),
    "revision": (
        "error: Can't locate revision identified by '0f1e2d3c': migrations/versions has no such"
        " revision. If you named it, correct it; if the database is at it, run the code that migrated"
        " the database"
    ),
}


def test_the_port_is_taken(run_app: Run) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        for command in ("dev", "serve"):
            result = run_app(command, "--host", "127.0.0.1", "--port", str(port))

            assert (result.code, result.out) == (1, "")
            said = result.err.replace(f":{port} ", ":8000 ")
            here = os.strerror(errno.EADDRINUSE)
            assert said.replace(here, "Address already in use") == SAID["port"] + "\n"


# Root may write everywhere: here it may only read everything (CAP_DAC_READ_SEARCH of Linux), if it may that.
UNPRIVILEGED = """
import ctypes, os, sys
from app import cli
if os.geteuid() == 0:
    version, libc = (ctypes.c_uint32 * 2)(0x20080522, 0), ctypes.CDLL(None)
    assert any(libc.capset(version, (ctypes.c_uint32 * 6)(n, n)) == 0 for n in (4, 0))
sys.argv = ["app", *sys.argv[1:]]
cli.main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="rights are others there")
def test_the_folder_cannot_be_written_to(tmp_path: Path) -> None:
    folder = str(tmp_path / ".data")
    tmp_path.chmod(0o555)
    done = subprocess.run(  # noqa: S603, this program
        [sys.executable, "-c", UNPRIVILEGED, "db", "upgrade"],
        cwd=tmp_path,  # where no `.env` names a database
        env=os.environ | {"DATA_DIR": folder},
        capture_output=True,
        text=True,
        check=False,
    )
    tmp_path.chmod(0o755)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.replace(folder, f"{HOME}/.data") == SAID["rights"] + "\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device is always full there")
def test_the_disk_is_full(run_app: Run) -> None:
    result = run_app("openapi", "--output", "/dev/full")

    assert (result.code, result.out, result.err) == (1, "", SAID["disk"] + "\n")


def test_the_command_runs_in_another_folder(run_app: Run, tmp_path: Path) -> None:
    result = run_app("db", "upgrade", DATA_DIR=".data")

    assert (result.code, result.out) == (1, "")
    assert result.err.replace(str(ROOT), HOME) == SAID["folder"] + "\n"
    assert list(tmp_path.iterdir()) == []


def test_settings_are_misspelled(run_app: Run, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABSE_URL=x\nSECRETKEY=x\n")

    result = run_app("dev")

    assert (result.code, result.out, result.err) == (2, "", SAID["misspelled"] + "\n")


def test_the_settings_are_in_another_encoding(run_app: Run, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes("PROJECT_NAME=Café\n".encode("latin-1"))

    result = run_app("dev")

    assert (result.code, result.out, result.err) == (2, "", SAID["encoding"] + "\n")


def test_the_secret_is_short(run_app: Run) -> None:
    result = run_app("serve", **(FIT | {"SECRET_KEY": "a secret"}))

    assert (result.code, result.out, result.err) == (2, "", SAID["secret"] + "\n")


async def test_the_database_was_not_migrated(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The service starts nevertheless: where it is deployed, the migration may run at the same time."""
    url = make_url(f"sqlite+aiosqlite:///{tmp_path}/app.db")

    await try_database(settings.model_copy(update={"database_url": url}))

    assert [record.getMessage() for record in caplog.records] == [SAID["not migrated"]]


def test_the_revision_is_unknown(run_app: Run, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/app.db"

    result = run_app("db", "upgrade", "--revision", "0f1e2d3c", DATABASE_URL=url)

    assert (result.code, result.out) == (1, "")
    assert result.err.splitlines()[-1] == SAID["revision"]
