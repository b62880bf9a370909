"""A reader who follows pages of the documentation: writes the files, runs the commands, compares what they print."""

import re
import shlex
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import quote

from tests.documented import Block, expected
from tests.ports import free_port
from tests.processes import running, start_database, until, wait_for
from tests.template import environment, nobodys_config, run, server

SOURCE = re.compile(r"(?:gh:|https://github\.com/)[\w-]+/cookiecutter-fastapi-service(?:\.git)?\b")
COMMAND = re.compile(r"\bapp (dev|serve)\b")
NAMES = re.compile(r"^([A-Z][A-Z0-9_]*)=", re.MULTILINE)
DATABASE = re.compile(r"@db\.example\.com:5432/(\w+)")
REDIS = "redis://redis.example.com:6379/0"
STARTED = "startup complete"
QUIET = 1.0
"""Seconds without a new line in the log after which a service does not reload any more."""

# All tests take minutes, and run in generated projects elsewhere: these look at each feature.
LOOKING = " ".join(f"tests/test_{name}.py" for name in ("access", "indexes", "migrations"))
SHORTER = {
    "make test\n": "uv run pytest -q tests/test_architecture.py\n",
    "make test lint types\n": f"make lint\nuv run pytest -q {LOOKING}\nuv run basedpyright app/features/notes\n",
}
GIT = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Ada"), ("EMAIL", "ada@example.com"))
}
EXECUTE = """
import asyncio, sys, asyncpg

async def main():
    connection = await asyncpg.connect(sys.argv[1])
    for statement in sys.argv[2:]:
        await connection.execute(statement)
    await connection.close()

asyncio.run(main())
"""


@dataclass
class Reader:
    """Two terminals in one folder: one for commands, one for the service."""

    home: Path
    """A folder of the reader's own."""
    folder: Path
    template: Path
    port: int = field(default_factory=free_port)
    variables: str = ""
    """Declarations of what was set in the shell."""
    printed: str = ""
    """By the commands."""
    last: str = ""
    log: Path | None = None
    changed_at: int | None = None
    """The length of the service's log when a file of it was changed."""
    services: ExitStack = field(default_factory=ExitStack)
    servers: ExitStack = field(default_factory=ExitStack)
    database: str = ""

    def close(self) -> None:
        """Stop what was started."""
        self.services.close()
        self.servers.close()

    def follow(self, block: Block) -> None:
        """Do what it says."""
        match block.treatment:
            case "console":
                self.start(block) if block.has("keeps running") else self.command(block)
            case "run":
                self.shell(block.values("run")[0])
            case "stop":
                self.services.close()
                self.log = None
            case "output":
                self.compare(block)
            case "file" | "append":
                self.write(block)
            case "diff":
                self.change(block)
            case "python":
                self.last = self.shell(f"uv run python - <<'END'\n{block.text}END\n")
            case "sql":
                self.execute(block.text)
            case _:  # what other tests look at
                pass

    def local(self, text: str) -> str:
        """The text with this reader's port, template and servers in place of those of the page."""
        text = SOURCE.sub(lambda _: shlex.quote(str(self.template)), text)
        text = text.replace(":8000", f":{self.port}")
        if DATABASE.search(text):
            host = quote(re.split("host=", self.server())[1], safe="/")
            text = DATABASE.sub(rf"@/\1?host={host}", text)
        return text.replace(REDIS, server("TEST_REDIS_URL")) if REDIS in text else text

    def server(self) -> str:
        """The URL of a PostgreSQL of the reader's own, as its administrator."""
        if not self.database:
            self.database, pid = start_database(self.folder, self.home / "server")
            self.servers.callback(run, "kill", "-QUIT", str(pid), cwd=self.home)
        return self.database

    def execute(self, statements: str) -> None:
        """Run SQL as the administrator of the server."""
        each = [part.strip() for part in statements.split(";") if part.strip()]
        python = self.folder / ".venv/bin/python"
        run(python, "-c", EXECUTE, self.server(), *each, cwd=self.folder)

    def filled(self, block: Block) -> str:
        """The text with what was printed before in place of each `...` that is to be filled in."""
        text = block.text
        for pattern in block.values("fill"):
            found = re.findall(pattern, self.printed + self.service_log(), re.MULTILINE)
            assert found, f"{block.place}: nothing printed matches {pattern}"
            text = text.replace("...", found[-1], 1)
        return text

    def command(self, block: Block) -> None:
        """Run commands, and remember what they print."""
        text = self.local(SHORTER.get(block.text, self.filled(block)))
        if "127.0.0.1" in text and self.log:
            self.settle()
        self.last = self.shell(text, fails=block.has("fails"), place=block.place)
        self.printed += self.last

    def shell(self, text: str, *, fails: bool = False, place: str = "") -> str:
        """The output of commands, in the folder and with the variables that earlier ones have left."""
        state = self.home / "state"
        names = " ".join(NAMES.findall(text))
        keep = f"{{ pwd; declare -p {names} 2>/dev/null || true; }} > {shlex.quote(str(state))}"
        script = (
            f"{self.variables}\n{text}\n{keep if names else f'pwd > {shlex.quote(str(state))}'}\n"
        )
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env=environment(PWD=str(self.folder), COOKIECUTTER_CONFIG=str(nobodys_config()), **GIT),
            input="\n" * 30,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert bool(done.returncode) == fails, (
            f"{place}\n{text}\n{done.stdout}\n{self.service_log()}"
        )
        if not fails:
            where, _, declared = state.read_text(encoding="utf-8").partition("\n")
            self.folder = Path(where)
            self.variables += declared
        return done.stdout

    def start(self, block: Block) -> None:
        """Start a service in its terminal, and wait until it responds."""
        text = COMMAND.sub(rf"app \1 --port {self.port}", self.local(self.filled(block)))
        log = self.home / f"log-{block.place.replace('/', '-')}"
        more = {"PWD": str(self.folder)} | GIT
        self.services.enter_context(running("bash", "-euc", text, cwd=self.folder, log=log, **more))
        self.log, self.changed_at = log, None
        try:
            wait_for(f"http://127.0.0.1:{self.port}/health/ready", 200)
        except AssertionError as error:
            raise AssertionError(f"{block.place}\n{error}\n{self.service_log()}") from None
        for folder in re.findall(r"\bcd ([\w-]+)", text):
            self.folder /= folder
        self.last = self.service_log()

    def service_log(self) -> str:
        """What the running service has printed."""
        return self.log.read_text(encoding="utf-8") if self.log else ""

    def settle(self) -> None:
        """Wait until the service runs the files as they are now."""
        if (before := self.changed_at) is not None:
            until(lambda: STARTED in self.service_log()[before:])
            self.changed_at = None
        length, since = -1, monotonic()
        while monotonic() - since < QUIET:
            if len(self.service_log()) != length:
                length, since = len(self.service_log()), monotonic()
            sleep(0.1)
        wait_for(f"http://127.0.0.1:{self.port}/health/ready", 200)

    def compare(self, block: Block) -> None:
        """The output is as shown."""
        pattern = expected(self.local(block.text))
        if block.values("output") == ["service"]:
            until(lambda: bool(pattern.search(self.service_log())), 20)
        else:
            assert pattern.search(self.last), f"{block.place}\n{block.text}\nnot in\n{self.last}"

    def write(self, block: Block) -> None:
        """Write a file, or add to one."""
        path = self.folder / block.path
        path.parent.mkdir(parents=True, exist_ok=True)
        adds = block.has("append")
        assert adds or not path.exists(), f"{block.place}: {block.path} exists"
        self.note_change(block.path)
        with path.open("a" if adds else "w", encoding="utf-8") as file:
            file.write(self.local(self.filled(block)))

    def change(self, block: Block) -> None:
        """Apply a diff, whose context is in the file once."""
        path = self.folder / block.path
        text = path.read_text(encoding="utf-8")
        for hunk in re.split(r"(?m)^@@.*\n", block.text):
            lines = hunk.splitlines(keepends=True)
            before = "".join(line[1:] or "\n" for line in lines if line[0] != "+")
            after = "".join(line[1:] or "\n" for line in lines if line[0] != "-")
            assert text.count(before) == 1, f"{block.place}: {before!r} in {block.path}"
            text = text.replace(before, after)
        self.note_change(block.path)
        path.write_text(text, encoding="utf-8")

    def note_change(self, path: str) -> None:
        """The service reloads if it is one of its files."""
        if self.log and path.startswith("app/"):
            self.changed_at = len(self.service_log())
