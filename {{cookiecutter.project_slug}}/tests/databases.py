"""A database for each test process, created and dropped on the configured server."""

import asyncio
import os
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import URL, pool
from sqlalchemy.ext.asyncio import create_async_engine

from app.core.db.dialects import DIALECTS, parse_url
from app.core.settings import Settings

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
NO_FILE: dict[str, Any] = {"_env_file": None}  # nor does a test read `.env`
DATA_DIR = Settings(**NO_FILE).data_dir.absolute()


def server_url() -> URL | None:
    """`TEST_DATABASE_URL`: a server on which tests may create databases."""
    return parse_url(os.environ.get("TEST_DATABASE_URL"))


async def execute(url: URL, statement: str) -> None:
    """Run one statement outside of transactions."""
    engine = create_async_engine(url, poolclass=pool.NullPool, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.exec_driver_sql(statement)
    await engine.dispose()


@contextmanager
def fresh_database(directory: Path) -> Generator[URL]:
    """An empty database of this process's own; never the development database."""
    url = server_url()
    with nullcontext(url) if url else DIALECTS[0].embedded(DATA_DIR) as server:
        yield from make_and_drop(server, directory)


def make_and_drop(url: URL, directory: Path) -> Generator[URL]:
    """Create a database on the server of `url`, and drop it at the end."""
    if url.get_backend_name() == "sqlite":
        yield url.set(database=str(directory / "test.db"))
        return
    name = f"test_{os.getpid()}_{WORKER}"
    asyncio.run(execute(url, f"CREATE DATABASE {name}"))
    try:
        yield url.set(database=name)
    finally:
        asyncio.run(execute(url, f"DROP DATABASE {name}"))
