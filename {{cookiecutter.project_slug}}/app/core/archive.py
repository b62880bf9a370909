"""Copies of rows that are about to be deleted, for as long as an operator wants to keep them.

A row may be in several files, if its deletion was not committed; no row is deleted that is in none.
"""

import asyncio
import gzip
import json
import os
import zlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from uuid_utils.compat import uuid7

from app.core.db.base import utc_now
from app.core.jobs import JobError
from app.core.settings import Settings

Rows = Sequence[dict[str, Any]]


class Archive(Protocol):
    """Where copies of deleted rows are kept."""

    def holding(self, table: str, rows: Rows) -> AbstractAsyncContextManager[None]:
        """Store these rows, which are deleted within; withdraw the copies if that fails."""
        ...


class NotArchived(JobError):
    """Rows could not be stored, so none of them was deleted."""


@dataclass(frozen=True, slots=True)
class Folder:
    """`<path>/<table>/<day>/<unique name>.jsonl.gz`: a row on each line, as JSON.

    The folder itself is never created: it may be a volume that is not mounted.
    """

    path: Path

    @asynccontextmanager
    async def holding(self, table: str, rows: Rows) -> AsyncGenerator[None]:
        """Write a file; remove it if what is done within fails."""
        try:
            file = await asyncio.to_thread(store, self.path, table, rows)
        except (OSError, EOFError, zlib.error) as error:
            raise NotArchived(
                f"{len(rows)} rows of {table} were not archived, and none was deleted ({error}):"
                " check the folder in ARCHIVE_DIR, and its free space"
            ) from error
        try:
            yield
        except BaseException:
            file.unlink(missing_ok=True)
            raise


def archive_of(settings: Settings) -> Archive | None:
    """The configured archive, if there is one."""
    return Folder(settings.archive_dir) if settings.archive_dir else None


def store(folder: Path, table: str, rows: Rows) -> Path:
    """Write a file that is complete and durable, or none."""
    lines = "".join(json.dumps(row, default=text) + "\n" for row in rows).encode()
    day = folder / table / f"{utc_now():%Y-%m-%d}"
    for missing in (day.parent, day):
        missing.mkdir(mode=0o700, exist_ok=True)
    file = day / f"{uuid7()}.jsonl.gz"
    partial_file = day / f".{file.name}"
    try:
        write(partial_file, gzip.compress(lines))
        verify(partial_file, sha256(lines).digest(), len(rows))
        partial_file.rename(file)
        for changed in (day, day.parent, folder):
            sync(changed)
    except BaseException:
        partial_file.unlink(missing_ok=True)
        raise
    return file


def text(value: object) -> str:
    """Times and ids as text: JSON has no type for them."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def write(path: Path, content: bytes) -> None:
    """Write a new file, which other users cannot read, to the disk."""
    with open(path, "xb", opener=partial(os.open, mode=0o600)) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def verify(path: Path, digest: bytes, count: int) -> None:
    """Read the file back; refuse it unless it has this content."""
    content = gzip.decompress(path.read_bytes())
    if sha256(content).digest() != digest or content.count(b"\n") != count:
        raise OSError(f"{path} does not contain what was written to it")


def sync(folder: Path) -> None:
    """Have the entries of a folder survive a power failure, where folders can be opened."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
