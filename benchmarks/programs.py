"""The programs that are measured: generated services in production, and the floors beside them."""

import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from benchmarks.databases import Engine, execute
from benchmarks.processes import settle
from benchmarks.services import BUILD, PASSWORD, ROOT, command_in, environment
from benchmarks.wrk import Sample, Server, Work, finish, start
from tests.ports import free_port

EMAIL = "admin@example.com"
PRODUCTION = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "f3a1c95b7d2e4068b1c7d5e9f0a2b4c6d8e0f1a3b5c7d9e2",
    "PUBLIC_URL": "https://app.example.com",
    "MAILER": "app.core.mail.smtp.SMTPMailer",
    "SMTP_URL": "smtps://app:unused@mail.example.com",
    "CORS_ORIGINS": "https://app.example.com",
    "LOG_LEVEL": "INFO",
    "LIMITS_CONCURRENT": "100000",
    "LIMITS_PER_PROCESS": "true",
    "CACHE_PER_PROCESS": "true",
}
COUNTED = ("ADDRESS", "USER", "LOGIN_ADDRESS", "LOGIN_ACCOUNT", "LOGIN_ANYWHERE")


def limits(rate: str) -> dict[str, str]:
    """The settings for this rate of everything that is counted here."""
    return {f"LIMITS_{each}": rate for each in COUNTED}


PRODUCTION |= limits("999999999/m")  # counted, and never reached
NEW = '{"sku":"UNIQUE","name":"Green tea","price":1250}'
SIGN_IN = f"username={EMAIL.replace('@', '%40')}&password={PASSWORD.replace(' ', '+')}"
QUERY = (
    '{"query": "{ products(first: 20) { nodes { id createdAt updatedAt sku name description price'
    ' currency } pageInfo { hasNextPage endCursor } } }"}'
)


def works(live: str, me: str, page: str, create: str, login: str) -> dict[str, Work]:
    """The work, at these paths."""
    return {
        "live": Work("GET", live, signed_in=False),
        "me": Work("GET", me),
        "page": Work("GET", page),
        "create": Work("POST", create, NEW),
        "login": Work("POST", login, SIGN_IN, form=True, signed_in=False, connections=4),
        "busy": Work("GET", me, connections=4, beside="login"),
    }


FLOOR = works("/health", "/me", "/items?limit=20", "/items", "/login")
PAGE = "/api/v1/products?limit=20"
REST = works("/health/live", "/api/v1/users/me", PAGE, "/api/v1/products", "/api/v1/auth/login")
GRAPHQL = REST | {"page": Work("POST", "/graphql", QUERY)}


@dataclass
class Program:
    """What is measured, and what has been."""

    name: str
    project: Path
    command: Sequence[str | Path]
    environ: Mapping[str, str]
    url: str
    """Of its database."""
    table: str
    """Which the pages are of."""
    works: Mapping[str, Work]
    measured: Sequence[str]
    """Which of its works are."""
    samples: dict[str, list[Sample]] = field(default_factory=dict[str, list[Sample]])
    memory: list[float] = field(default_factory=list[float])
    """MiB after load."""
    start: list[float] = field(default_factory=list[float])
    """Seconds until the first answer."""

    def variant(
        self, name: str, measured: Sequence[str], *options: str, **environ: str
    ) -> "Program":
        """The same service on the same database, started differently."""
        return Program(
            name,
            self.project,
            [*self.command, *options],
            {**self.environ, **environ},
            self.url,
            self.table,
            self.works,
            measured,
        )


def service(
    name: str,
    project: Path,
    url: str,
    works: Mapping[str, Work] = REST,
    measured: Sequence[str] = tuple(REST),
    **environ: str,
) -> Program:
    """A generated service in production, migrated, with an administrator."""
    role = {"DATABASE_ROLE": f"{urlsplit(url).username}_service"}
    settings = PRODUCTION | {"DATABASE_URL": url} | role | environ
    for command in (["db", "upgrade"], ["users", "create-admin", "--email", EMAIL]):
        command_in(project, "app", *command, **settings | {"LOG_LEVEL": "ERROR"})
    serve = [project / ".venv/bin/app", "serve", "--host", "127.0.0.1"]
    return Program(name, project, serve, settings, url, "products", works, measured)


def floor(
    name: str, project: Path, engine: Engine, url: str, measured: Sequence[str] = tuple(FLOOR)
) -> Program:
    """The program that does nothing else, on the packages of a generated project."""
    settings = {
        "FLOOR_URL": url.replace(f"{engine.scheme}:", f"{engine.driver}:"),
        "FLOOR_SECRET": PRODUCTION["SECRET_KEY"],
    }
    serve = [
        *(project / ".venv/bin/uvicorn", "floor:app", "--app-dir", ROOT / "benchmarks"),
        *("--loop", "uvloop", "--http", "httptools", "--no-access-log"),
    ]
    return Program(name, project, serve, settings, url, "items", FLOOR, measured)


@contextmanager
def serving(program: Program) -> Generator[Server]:
    """The running program, from its first good answer on."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with (BUILD / f"{program.name}.log").open("wb") as log:
        started = time.perf_counter()
        process = subprocess.Popen(
            [*program.command, "--port", str(port)],
            cwd=program.project,
            env={**environment(program.project.parent / "data"), **program.environ},
            stdout=log,
            stderr=log,
        )
        try:
            await_answer(process, base + program.works["live"].path)
            program.start.append(time.perf_counter() - started)
            settle(process.pid)
            yield Server(base, process.pid, sign_in(base, program))
        finally:
            process.terminate()
            process.wait(30)


def await_answer(process: subprocess.Popen[bytes], url: str) -> None:
    """Wait for a good answer; end the run if there is none within a minute."""
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx2.get(url, trust_env=False).is_success:
                return
        except httpx2.TransportError:
            time.sleep(0.01)
    raise SystemExit(f"no answer from {url}: see the logs in {BUILD}")


def sign_in(base: str, program: Program) -> str:
    """A token for what follows."""
    form = {"username": EMAIL, "password": PASSWORD}
    answer = httpx2.post(base + program.works["login"].path, data=form, trust_env=False)
    return answer.raise_for_status().json()["access_token"]


def fill(program: Program, engine: Engine, rows: int) -> None:
    """Create rows through the API until there are enough; its first start compiles, and does not count."""
    with serving(program) as server:
        made = 0.0
        while made < rows:
            made += finish(start(server, program.works["create"], 2))["requests"]
    execute(program.project, program.url, engine.analyze.format(table=program.table))
    program.start.clear()
