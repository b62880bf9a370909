"""Databases of their own for what is measured, on the servers that the environment names."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.services import INSIDE, command_in


@dataclass(frozen=True)
class Engine:
    """A kind of server, and the statements for a database of a login of its own."""

    name: str
    scheme: str
    driver: str
    port: int
    create: tuple[str, ...]
    drop: tuple[str, ...]
    analyze: str
    """Bring the statistics of a table up to date."""
    version: str


POSTGRESQL = Engine(
    name="PostgreSQL",
    scheme="postgresql",
    driver="postgresql+asyncpg",
    port=5432,
    create=(  # the service's migration creates a role
        "CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'bench'",
        "CREATE DATABASE {name} OWNER {name}",
    ),
    drop=(
        "DROP DATABASE {name} WITH (FORCE)",
        "DROP ROLE IF EXISTS {name}_service, {name}",
    ),
    analyze="VACUUM ANALYZE {table}",
    version="SHOW server_version",
)
MYSQL = Engine(
    name="MySQL",
    scheme="mysql",
    driver="mysql+asyncmy",
    port=3306,
    create=(
        "CREATE DATABASE {name}",
        "CREATE USER {name} IDENTIFIED BY 'bench'",
        "GRANT ALL ON {name}.* TO {name}",
    ),
    drop=("DROP DATABASE {name}", "DROP USER {name}"),
    analyze="ANALYZE TABLE {table}",
    version="SELECT version()",
)


def execute(project: Path, url: str, *statements: str) -> str:
    """Run statements with the driver of a generated project; what the last one returns."""
    return command_in(project, "python", INSIDE / "execute.py", url, *statements).strip()


@contextmanager
def database(project: Path, engine: Engine, server: str, name: str) -> Generator[str]:
    """The URL of a new database."""
    login = f"bench_{name}_{os.getpid()}"
    parts = urlsplit(server)
    execute(project, server, *(each.format(name=login) for each in engine.create))
    try:
        address = f"{parts.hostname}:{parts.port or engine.port}"
        yield f"{engine.scheme}://{login}:bench@{address}/{login}"
    finally:
        execute(project, server, *(each.format(name=login) for each in engine.drop))


def version(project: Path, engine: Engine, server: str) -> str:
    """The name and the version of a server."""
    number = execute(project, server, engine.version)
    name = "MariaDB" if "MariaDB" in number else engine.name
    return f"{name} {number.split('-')[0].split()[0]}"
