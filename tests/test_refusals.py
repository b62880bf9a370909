"""The one line that a service prints when it cannot start."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import yaml

from tests.ports import free_port
from tests.processes import running, start_database, wait_for
from tests.template import Answers, environment, run, server

Installed = Callable[[Answers], Path]
Ended = subprocess.CompletedProcess[str]

pytestmark = pytest.mark.xdist_group("refusals")

SECRET = "fedcba9876543210f0e1d2c3b4a5968778695a4b3c2d1e0f"
PRODUCTION = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": SECRET,
    "PUBLIC_URL": "https://app.example.com",
    "MAILER": "app.core.mail.smtp.SMTPMailer",
    "SMTP_URL": "smtps://app:hunter2@mail.example.com",
    "CORS_ORIGINS": "https://app.example.com",
    "METRICS_TOKEN": SECRET,
}
UNFIT = {
    "SECRET_KEY": "abc" * 20,
    "PUBLIC_URL": "https://app:hunter2@app.example.com",
    "ISSUER": "",
    "SMTP_URL": "smtp://app:hunter2@mail.example.com",
    "CORS_ORIGINS": "https://app.example.com/,null,http://app.example.com,https://*.example.com",
    "MAX_BODY_SIZE": str(100 * 1024**3),
    "METRICS_TOKEN": "a" * 40,
}


@pytest.fixture(scope="module")
def project(installed: Installed) -> Path:
    """A project on PostgreSQL."""
    return installed({"database": "postgresql", "include_example": True})


def app(project: Path, *arguments: str, **environ: str) -> Ended:
    """Run a command that exits on its own."""
    return subprocess.run(
        [project / ".venv/bin/app", *arguments],
        cwd=project,
        env=environment(**environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("command", ["dev", "serve"])
def test_a_taken_port_is_told_before_anything_starts(
    project: Path, tmp_path: Path, command: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = app(
            project, command, "--host", "127.0.0.1", "--port", port, DATA_DIR=str(tmp_path / "data")
        )

    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: cannot listen on 127.0.0.1:{port} ")
    assert "--port" in line
    assert not (tmp_path / "data").exists()


def test_it_starts_without_its_database_and_says_so_once(project: Path, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        away = silent.getsockname()[1]
        with running(
            *(project / ".venv/bin/app", "serve", "--port", str(port)),
            cwd=project,
            log=log,
            DATABASE_URL=f"postgresql://app:hunter2@127.0.0.1:{away}/app",
            JOB_POLL_SECONDS="0.1",
        ):
            for _ in range(5):
                wait_for(f"http://127.0.0.1:{port}/health/ready", 503)
            said = log.read_text()

    assert said.count(f"DATABASE_URL: 127.0.0.1:{away} cannot be reached") == 1
    assert "Traceback" not in said
    assert "hunter2" not in said


@dataclass(frozen=True)
class Server:
    """A PostgreSQL that asks logins for their passwords."""

    project: Path
    owner_url: str

    def url(self, login: str, database: str) -> str:
        """How `login` reaches `database`."""
        return self.owner_url.replace("postgres:@/postgres", f"{login}@/{database}")

    def execute(self, *statements: str) -> None:
        """Run statements as the superuser."""
        code = (
            "import asyncio, sys; from tests.databases import execute;"
            "from app.core.db.dialects import parse_url;"
            "[asyncio.run(execute(parse_url(sys.argv[1]), each)) for each in sys.argv[2:]]"
        )
        python = self.project / ".venv/bin/python"
        run(python, "-c", code, self.owner_url, *statements, cwd=self.project)


@pytest.fixture(scope="module")
def strict_server(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    """With a database `app` that belongs to the login `app`."""
    data = tmp_path_factory.mktemp("server") / "data"
    url, pid = start_database(project, data)
    try:
        made = Server(project, url)
        made.execute(
            "CREATE ROLE app LOGIN CREATEROLE PASSWORD 'right'", "CREATE DATABASE app OWNER app"
        )
        (data / "pg_hba.conf").write_text("local all postgres trust\nlocal all all scram-sha-256\n")
        made.execute("SELECT pg_reload_conf()")
        yield made
    finally:
        os.kill(pid, signal.SIGQUIT)


@pytest.mark.parametrize(
    ("login", "database", "said"),
    [
        ("app:hunter2", "app", 'password authentication failed for user "app": correct'),
        ("app:right", "not_there", 'database "not_there" does not exist: create it, or correct'),
    ],
)
def test_it_does_not_start_with_what_waiting_cannot_mend(
    strict_server: Server, login: str, database: str, said: str
) -> None:
    url = strict_server.url(login, database)
    for command in (["db", "upgrade"], ["serve", "--port", str(free_port()), "--workers", "2"]):
        done = app(
            strict_server.project,
            *command,
            DATABASE_URL=url,
            LIMITS_PER_PROCESS="true",
            CACHE_ENTRIES="0",
        )

        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"error: DATABASE_URL: {said}")
        assert "hunter2" not in line


def test_production_does_not_work_as_the_owner_of_the_tables(strict_server: Server) -> None:
    environ = PRODUCTION | {"DATABASE_URL": strict_server.url("app:right", "app")}
    project, port = strict_server.project, str(free_port())
    run(project / ".venv/bin/app", "db", "upgrade", cwd=project, **environ)

    done = app(project, "serve", "--port", port, **environ, DATABASE_ROLE="")

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: DATABASE_ROLE lets the service act as app, which owns")


def test_production_serves_with_good_settings(strict_server: Server, tmp_path: Path) -> None:
    environ = PRODUCTION | {"DATABASE_URL": strict_server.url("app:right", "app")}
    project, port = strict_server.project, free_port()
    command = project / ".venv/bin/app"
    run(command, "db", "upgrade", cwd=project, **environ)
    assert app(project, "settings", "check", **environ).returncode == 0
    with running(
        command, "serve", "--port", str(port), cwd=project, log=tmp_path / "log", **environ
    ):
        wait_for(f"http://127.0.0.1:{port}/health/ready", 200)
        assert f'"listening on http://0.0.0.0:{port}"' in (tmp_path / "log").read_text()


@pytest.mark.parametrize("command", [["settings", "check"], ["serve"], ["serve", "--workers", "2"]])
def test_production_names_every_fault(project: Path, command: list[str]) -> None:
    environ = PRODUCTION | UNFIT | {"DATABASE_URL": "postgresql://app:hunter2@db.example/app"}

    done = app(project, *command, **environ)

    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert {line.split()[1] for line in lines} == set(UNFIT)
    assert len(lines) == len(UNFIT)
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize("login", [None, "operator:secret"])
def test_flower_requires_a_login(installed: Installed, tmp_path: Path, login: str | None) -> None:
    project = installed({"database": "postgresql", "use_celery": True, "include_example": True})
    service = yaml.safe_load((project / "compose.yaml").read_text())["services"]["flower"]
    assert service["profiles"], "a plain `docker compose up` starts without it"
    assert service["environment"]["FLOWER_BASIC_AUTH"] is None, "and it is taken from outside"
    command = [part.replace("$$", "$") for part in service["command"]]
    port = free_port()
    environ = {"PATH": f"{project}/.venv/bin:/usr/bin:/bin", "FLOWER_PORT": str(port)}
    if login is None:
        done = subprocess.run(
            command, cwd=project, env=environment(**environ), capture_output=True, check=False
        )
        assert done.returncode != 0
        assert b"set it to name:password" in done.stderr
        return

    environ |= {"CELERY_BROKER_URL": server("TEST_REDIS_URL"), "FLOWER_BASIC_AUTH": login}
    with running(*command, cwd=project, log=tmp_path / "log", **environ):
        url = f"http://127.0.0.1:{port}/"
        wait_for(url, 401)
        name, _, password = login.partition(":")
        assert httpx2.get(url, auth=(name, password), follow_redirects=True).status_code == 200
