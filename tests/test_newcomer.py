"""The first hour with the template, as described by the READMEs and the console."""

import re
import shlex
import subprocess
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.browser import ALIAS, Browser, browsing
from tests.combinations import largest
from tests.ports import free_port
from tests.processes import running, start_database, until, wait_for
from tests.template import REPOSITORY, ROOT, Answers, environment, run

Installed = Callable[[Answers], Path]

PASSWORD = "correct horse battery staple"
CREDENTIALS = re.compile(r"^ +username +(\S+)\n +password +(\S+)$", re.MULTILINE)


def commands(readme: Path, section: str = "Getting started") -> list[str]:
    """The blocks of commands in that section."""
    text = readme.read_text(encoding="utf-8")
    body = text.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(r"```console\n(.*?)```", body, re.DOTALL)


def shell(script: str, folder: Path, stdin: str = "", **environ: str) -> str:
    """The output of a shell for this input."""
    done = subprocess.run(
        ["bash", "-c", f"set -e -o pipefail\n{script}"],
        cwd=folder,
        env=environment(**environ),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@dataclass
class Running:
    """A service under `app dev`, as its developer sees it."""

    base: str
    log: Path
    before: str = ""

    def console(self) -> str:
        """The output in its terminal."""
        return self.log.read_text(encoding="utf-8")

    def credentials(self) -> tuple[str, str]:
        """The credentials of the administrator that the first start created."""
        found = CREDENTIALS.search(self.console())
        assert found
        return found[1], found[2]

    def command_for(self, address: str) -> str:
        """The command under the last mail to this address, once it is there."""
        mails = re.compile(
            rf"^To: {re.escape(address)}\n.*?^(curl [^\n]*)\n", re.DOTALL | re.MULTILINE
        )
        seen = len(mails.findall(self.before))
        until(lambda: len(mails.findall(self.console())) > seen, 20)
        return mails.findall(self.console())[-1]

    def post(self, path: str, **request: Any) -> httpx2.Response:  # noqa: ANN401
        """Call the API; what the console shows from here on is new."""
        self.before = self.console()
        return httpx2.post(f"{self.base}/api/v1{path}", timeout=30, **request)


@contextmanager
def developing(
    *command: str | Path, cwd: Path, log: Path, port: int, **environ: str
) -> Generator[Running]:
    """Start it, and wait until it responds."""
    with running(*command, cwd=cwd, log=log, **environ):
        service = Running(f"http://127.0.0.1:{port}", log)
        wait_for(f"{service.base}/health/ready", 200)
        yield service


@pytest.mark.xdist_group("newcomer-readme")
def test_the_readmes_lead_from_nothing_to_an_authenticated_request(
    template: Path, tmp_path: Path
) -> None:
    """The template's README, then that of the generated project, with another port."""
    port = free_port()
    ask, start = (block.strip() for block in commands(ROOT / "README.md"))
    assert REPOSITORY in ask
    shell(ask.replace(REPOSITORY, shlex.quote(str(template))), tmp_path, stdin="\n" * 30)
    project = tmp_path / "acme-api"
    run_it, register, sign_in, create, *_ = [
        block.replace(":8000", f":{port}") for block in commands(project / "README.md")
    ]
    assert start == f"cd {project.name} && {run_it.strip()}"

    command = ["bash", "-c", f"{start} --port {port}"]
    with developing(*command, cwd=tmp_path, log=tmp_path / "log", port=port) as service:
        service.credentials()
        assert "202 Accepted" in shell(register, project)
        verify = service.command_for("ada@example.com")
        assert "204 No Content" in shell(verify.replace("<password>", PASSWORD), project)
        answer = shell(sign_in, project)
        assert "200 OK" in answer
        assert '"email":"ada@example.com"' in answer

        said = shell(create, project, USER_PASSWORD=PASSWORD, ADMIN_PASSWORD=PASSWORD)
        assert said.splitlines() == [
            "grace@example.com can sign in.",
            "admin@example.com is an administrator.",
        ]
        grace = sign_in.replace("ada@", "grace@")
        assert '"email":"grace@example.com"' in shell(grace, project)


@pytest.fixture(scope="module")
def project(installed: Installed) -> Path:
    """A project with everything on the default database, but without Celery."""
    return installed(largest() | {"use_celery": False})


@pytest.fixture(scope="module")
def service(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Running]:
    """One service for tests that only use it from outside."""
    folder = tmp_path_factory.mktemp("service")
    port = free_port()
    command = [project / ".venv/bin/app", "dev", "--port", str(port)]
    data = {"DATA_DIR": str(folder / "data")}
    with developing(*command, cwd=project, log=folder / "log", port=port, **data) as started:
        yield started


@pytest.mark.xdist_group("newcomer")
def test_the_command_under_each_mail_does_what_the_link_does(
    service: Running, tmp_path: Path
) -> None:
    """Copied and pasted, with only the password filled in."""
    # The worst that an address can do to a shell.
    email, moved, password = "o'brien+1@example.com", "`id`$home@example.com", "an entirely new one"

    def redeem(address: str, password: str = "") -> str:
        command = service.command_for(address)
        assert service.base in command
        return shell(command.replace("<password>", password), tmp_path).splitlines()[0]

    def sign_in(email: str, password: str) -> dict[str, str]:
        form = {"username": email, "password": password}
        tokens = service.post("/auth/login", data=form).json()
        return {"Authorization": f"Bearer {tokens['access_token']}"}

    service.post("/auth/register", json={"email": email, "password": PASSWORD})
    assert redeem(email, PASSWORD).endswith("204 No Content")
    service.post("/auth/forgot-password", json={"email": email})
    assert redeem(email, password).endswith("204 No Content")

    wanted = {"new_email": moved, "password": password}
    headers = sign_in(email, password)
    assert service.post("/auth/change-email", json=wanted, headers=headers).status_code == 202
    assert redeem(email).endswith("204 No Content")
    assert redeem(moved).endswith("204 No Content")

    admin = sign_in(*service.credentials())
    mine = httpx2.get(f"{service.base}/api/v1/tenants", headers=admin).json()["items"]
    invitations = f"/tenants/{mine[0]['tenant']['id']}/invitations"
    assert service.post(invitations, json={"email": moved}, headers=admin).status_code == 201
    assert redeem(moved, password).endswith("200 OK")


@pytest.mark.xdist_group("newcomer")
def test_the_documentation_works_without_any_other_host(service: Running, tmp_path: Path) -> None:
    document = httpx2.get(f"{service.base}/api/v1/openapi.json").json()
    operations = sum(len(methods) for methods in document["paths"].values())

    with browsing(tmp_path / "profile") as browser:
        for scopes in (False, True):
            browser.page.goto(service.base)
            assert browser.page.url == f"{service.base}/docs"
            browser.page.locator(".opblock").nth(operations - 1).wait_for()
            assert browser.page.locator(".opblock").count() == operations
            authorize(browser, *service.credentials(), scopes=scopes)
            assert call(browser, "users-read_me") == "200"
        assert browser.hosts == {"127.0.0.1"}

        browser.page.goto(service.base.replace("127.0.0.1", ALIAS) + "/docs")
        browser.page.locator(".opblock").nth(operations - 1).wait_for()
        assert browser.hosts == {"127.0.0.1", ALIAS}
        assert browser.complaints == []


@pytest.mark.xdist_group("newcomer")
def test_the_readme_leads_to_a_query_in_graphql(service: Running, project: Path) -> None:
    username, password = service.credentials()
    readme = project / "README.md"
    sign_in, query = commands(readme)[2], commands(readme, "GraphQL")[0]
    sign_in = sign_in.replace("ada@example.com", username).replace(PASSWORD, password)

    told = shell(f"{sign_in}\n{query}".replace("http://127.0.0.1:8000", service.base), project)

    assert f'"data":{{"me":{{"email":"{username}","roleNames":["admin"]}}' in told
    assert '"errors"' not in told
    assert httpx2.get(f"{service.base}/graphql").headers["content-type"].startswith("text/html")


def authorize(browser: Browser, username: str, password: str, *, scopes: bool) -> None:
    """Sign in with user name and password alone, or with every scope there is."""
    page = browser.page
    page.locator(".scheme-container .authorize").click()
    dialog = page.locator(".dialog-ux .modal-ux")
    dialog.get_by_label("username:", exact=True).fill(username)
    dialog.get_by_label("password:", exact=True).fill(password)
    assert dialog.locator("input[type=checkbox]").count() > 10
    if scopes:
        dialog.get_by_text("select all", exact=True).first.click()
        assert dialog.locator("input[type=checkbox]:not(:checked)").count() == 0
    dialog.locator("button.authorize").click()
    dialog.get_by_text("Logout", exact=True).wait_for()
    dialog.locator("button.btn-done").click()


def call(browser: Browser, operation: str) -> str:
    """The status of an operation when it is tried out."""
    block = browser.page.locator(f"#operations-{operation}")
    block.locator(".opblock-summary-control").click()
    block.locator(".try-out__btn").click()
    block.locator("button.execute").click()
    return block.locator(".live-responses-table .response .response-col_status").inner_text()


@pytest.mark.xdist_group("newcomer-first-starts")
def test_two_first_starts_make_one_administrator(installed: Installed, tmp_path: Path) -> None:
    """And neither a migration nor `app serve` creates one."""
    project = installed({"database": "postgresql", "include_example": True})
    app = project / ".venv/bin/app"
    url, pid = start_database(project, tmp_path / "data")
    environ = {"DATABASE_URL": url, "DATA_DIR": str(tmp_path)}
    try:
        run(app, "db", "upgrade", cwd=project, **environ)
        port = free_port()
        command = [app, "serve", "--port", str(port)]
        with developing(*command, cwd=project, log=tmp_path / "log", port=port, **environ):
            pass
        logs: list[Path] = []
        with ExitStack() as stack:
            for log in (tmp_path / "log-0", tmp_path / "log-1"):
                command = [app, "dev", "--port", str(free_port())]
                stack.enter_context(running(*command, cwd=project, log=log, **environ))
                logs.append(log)
            for log in logs:
                until(lambda log=log: "startup complete" in log.read_text())
        shown = [found for log in logs for found in CREDENTIALS.findall(log.read_text())]
        assert len(shown) == 1
        assert sum(log.read_text().count(shown[0][1]) for log in logs) == 1
        assert kept_in(project, shown[0][1]) + kept_in(tmp_path / "data", shown[0][1]) == []
    finally:
        run("kill", "-QUIT", str(pid), cwd=tmp_path)


def kept_in(folder: Path, secret: str) -> list[Path]:
    """The files that contain it."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and ".venv" not in path.parts and secret.encode() in path.read_bytes()
    ]
