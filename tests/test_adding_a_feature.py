"""`docs/adding-a-feature.md` of a generated project, followed as written, to a member's first request.

Every block of its last part is taken from the document: files are written, lines are added, commands
are run, while the service runs and reloads. The tutorial has a smaller feature, in a project without tenants:
`tests/test_documented_commands.py` follows it.
"""

import re
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from tests.ports import free_port
from tests.processes import running, until, wait_for
from tests.template import Answers, bake_with_cookiecutter, edit, run
from tests.test_service import PASSWORD

NOTES = "/api/v1/notes"
# Only the project's tests that cover every feature; others run the rest.
LOOKING = ["access", "architecture", "lists", "migrations", "openapi"]


@dataclass(frozen=True)
class Reader:
    """A reader who follows the document, with the service running in another terminal."""

    project: Path
    base: str
    log: Path
    data: Path
    read: set[str] = field(default_factory=set[str])
    """The tokens of mails that were used."""

    def post(self, path: str, body: object, who: dict[str, str] | None = None) -> httpx2.Response:
        """Send a request to the service."""
        answer = httpx2.post(f"{self.base}/api/v1{path}", json=body, headers=who, timeout=30)
        assert answer.is_success, answer.text
        return answer

    def token(self, page: str) -> str:
        """The token in the next mail with a link to this page, as the service's terminal shows it."""
        found: list[str] = []

        def arrived() -> bool:
            mailed = re.findall(rf"/{page}#token=([\w-]+)", self.log.read_text())
            found[:] = [token for token in mailed if token not in self.read]
            return bool(found)

        until(arrived)
        self.read.add(found[0])
        return found[0]

    def register(self, email: str) -> dict[str, str]:
        """The header of a newly registered, signed-in user."""
        self.post("/auth/register", {"email": email, "password": PASSWORD})
        self.post("/auth/verify-email", {"token": self.token("verify-email"), "password": PASSWORD})
        form = {"username": email, "password": PASSWORD}
        signed_in = httpx2.post(f"{self.base}/api/v1/auth/login", data=form, timeout=30).json()
        return {"Authorization": f"Bearer {signed_in['access_token']}"}

    def keeps_a_note(self, who: dict[str, str]) -> bool:
        """Whether a user may create a note, and sees it."""
        url = f"{self.base}{NOTES}"
        added = httpx2.post(url, json={"title": "Milk"}, headers=who, timeout=30)
        listed = httpx2.get(url, headers=who, timeout=30)
        answered = (added.status_code, listed.status_code) == (201, 200)
        return answered and added.json() in listed.json()["items"]

    def steps(self) -> Iterator[tuple[str, str, str]]:
        """The blocks of the last part: language, text, and the file that was named last before it."""
        text = (self.project / "docs/adding-a-feature.md").read_text(encoding="utf-8")
        last = text.partition("\n## Step by step\n")[2]
        for block in re.finditer(r"```(\w+)\n(.*?)```", last, re.DOTALL):
            named = re.findall(r"`([\w/-]+\.\w+)`:\n", last[: block.start()])
            yield block[1], block[2], named[-1] if named else ""

    def follow(self) -> str:
        """Follow all steps; return the output of the last command."""
        printed = ""
        for language, block, name in self.steps():
            file = self.project / name
            if language == "python":
                file.parent.mkdir(parents=True, exist_ok=True)
                assert not file.exists(), name
                file.write_text(block, encoding="utf-8")
            elif language == "diff":
                before = re.sub(r"(?m)^\+.*\n", "", block)
                assert file.read_text(encoding="utf-8").count(before[1:]) == 1, block
                edit(file, before[1:], re.sub(r"(?m)^.", "", block))
            else:
                printed = self.console(block)
        return printed

    def console(self, block: str) -> str:
        """Run commands against the running service; return their output."""
        if block == "uv run app dev\n":
            return ""
        if block == "make test lint types\n":
            files = " ".join(f"tests/test_{name}.py" for name in LOOKING)
            block = f"uv run pytest -q app/features/notes {files}\nmake lint types\n"
        if "curl" in block:
            wait_for(f"{self.base}/health/ready", 200)
            block = block.replace("http://127.0.0.1:8000", self.base)
            block = block.replace("curl ", "curl --fail-with-body --silent --show-error ")
        if "TOKEN=...\n" in block:
            block = block.replace("TOKEN=...", f"TOKEN={self.token('verify-email')}")
        command = ["bash", "-euo", "pipefail", "-c", block]
        return run(*command, cwd=self.project, DATA_DIR=str(self.data)).stdout


@contextmanager
def reader(template: Path, folder: Path, answers: Answers) -> Generator[Reader]:
    """A reader with a new project, started."""
    project = bake_with_cookiecutter(template, folder / "project", answers)
    run("uv", "sync", "--quiet", cwd=project)
    port, log, data = free_port(), folder / "log", folder / "data"
    base = f"http://127.0.0.1:{port}"
    dev = [project / ".venv/bin/app", "dev", "--port", str(port)]
    with running(*dev, cwd=project, log=log, DATA_DIR=str(data)):
        wait_for(f"{base}/health/ready", 200)
        yield Reader(project, base, log, data)


def test_the_steps_lead_to_an_answer_for_each_role_in_a_tenant(
    template: Path, tmp_path: Path
) -> None:
    answers = {"database": "postgresql", "multi_tenancy": "row", "include_example": True}
    with reader(template, tmp_path, answers) as developer:
        people = {
            role: developer.register(f"{role}@example.com") for role in ("owner", "admin", "member")
        }
        tenant = shared_tenant(developer, people)

        answer = developer.follow()

        assert '"items":[{' in answer
        assert '"title":"Tea"' in answer
        for role, who in people.items():
            assert developer.keeps_a_note(who | tenant), role
        stranger = developer.register("stranger@example.com")
        assert developer.keeps_a_note(stranger)
        assert not developer.keeps_a_note(stranger | tenant)


def shared_tenant(reader: Reader, people: dict[str, dict[str, str]]) -> dict[str, str]:
    """The header of the owner's tenant, in which the others have the roles of their names."""
    made = reader.post("/tenants", {"name": "Acme"}, people["owner"]).json()
    invitations = f"/tenants/{made['tenant']['id']}/invitations"
    for role in ("admin", "member"):
        invited = {"email": f"{role}@example.com", "role": role}
        reader.post(invitations, invited, people["owner"])
        token = {"token": reader.token("accept-invitation")}
        reader.post("/invitations/accept", token, people[role])
    return {"X-Tenant-ID": made["tenant"]["id"]}


def test_a_feature_is_removed_as_written(template: Path, tmp_path: Path) -> None:
    """`orders`, as its last part says: a folder, its lines, and a migration; then `products`, which nothing needs then."""
    project = bake_with_cookiecutter(template, tmp_path, {})
    data = str(tmp_path / "data")
    run("uv", "sync", "--quiet", cwd=project)

    for name in ("orders", "products"):
        remove(project, name)
    for name in ("dying.py", "test_crashes.py", "test_text_indexes.py"):
        (project / "tests" / name).unlink()
    run("make", "migration", "m=remove products", cwd=project, DATA_DIR=data)

    run("uv", "run", "ruff", "check", ".", cwd=project)
    run("uv", "run", "lint-imports", cwd=project)
    run(
        "uv",
        "run",
        "pytest",
        "-q",
        *(f"tests/test_{name}.py" for name in LOOKING),
        cwd=project,
        DATA_DIR=data,
    )


def remove(project: Path, feature: str) -> None:
    """Delete the folder of a feature, and its lines."""
    shutil.rmtree(project / "app/features" / feature)
    for name, line in (
        ("app/installed.py", rf"    {feature},\n"),
        ("app/installed.py", rf"    {feature}\.feature,\n"),
        ("pyproject.toml", rf' *"app\.features\.{feature}",\n'),
    ):
        file = project / name
        text, count = re.subn(line, "", file.read_text("utf-8"))
        assert count == 1, (name, line)
        file.write_text(text, encoding="utf-8")
