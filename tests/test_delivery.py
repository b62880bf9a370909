"""What a project is delivered and operated with: its CI, its audits, its load tests, what its documents say to run."""

import json
import os
import re
import signal
import subprocess
import tomllib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from tests.combinations import largest
from tests.ports import free_port
from tests.processes import execute, running, start_database, wait_for
from tests.template import bake_with_cookiecutter, commit_all, environment, run, server

pytestmark = pytest.mark.xdist_group("delivery")

# What they do takes a while, and other tests do it in each project.
LONG = {"make test", "make types"}


@pytest.fixture(scope="module")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with every option, installed and committed."""
    folder = bake_with_cookiecutter(template, tmp_path_factory.mktemp("delivery"), largest())
    run("uv", "sync", "--quiet", cwd=folder)
    commit_all(folder, "Begin")
    return folder


def console(text: str) -> list[str]:
    """The commands of a document."""
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_an_agent_can_run_what_it_is_given(project: Path, tmp_path: Path) -> None:
    commands = console((project / "AGENTS.md").read_text(encoding="utf-8"))

    assert {*commands} > LONG
    for command in commands:
        if command not in LONG:
            run("sh", "-c", command, cwd=project, DATA_DIR=str(tmp_path))
    assert run("git", "status", "--porcelain", cwd=project).stdout == ""


def test_ci_runs_targets_of_make_that_exist(project: Path) -> None:
    ci = (project / ".github/workflows/ci.yml").read_text(encoding="utf-8")

    called = re.findall(r"run: make ([\w-]+)$", ci, re.MULTILINE)
    assert {"audit", "coverage", "lint", "sbom", "types"} <= {*called}
    for target in called:
        run("make", "--dry-run", target, cwd=project)


@contextmanager
def database(project: Path) -> Generator[dict[str, str]]:
    """A database, and a role, of the test's own on the real server, as settings."""
    url, name = server("TEST_POSTGRES_URL"), f"template_tests_{uuid4().hex[:8]}"
    execute(project, url, f"CREATE DATABASE {name}")
    try:
        yield {"DATABASE_URL": f"{url.rsplit('/', 1)[0]}/{name}", "DATABASE_ROLE": name}
    finally:
        execute(project, url, f"DROP DATABASE {name} WITH (FORCE)")
        execute(project, url, f"DROP ROLE IF EXISTS {name}")


def test_ci_migrates_up_and_down(project: Path) -> None:
    workflow = yaml.safe_load((project / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    (script,) = [
        step["run"]
        for step in workflow["jobs"]["check"]["steps"]
        if "DATABASE_URL" in step.get("env", {})
    ]

    assert "app db downgrade base" in script
    with database(project) as settings:
        run("bash", "-e", "-c", script, cwd=project, **settings)


def test_the_licenses_of_its_packages_are_allowed(project: Path) -> None:
    run("make", "licenses", cwd=project)


def test_a_package_with_another_license_is_refused(project: Path) -> None:
    strict = run("make", "--dry-run", "licenses", cwd=project).stdout.strip() + " --allow-only MIT"

    done = subprocess.run(
        ["sh", "-c", strict], cwd=project, env=environment(), capture_output=True, check=False
    )

    assert done.returncode == 1
    assert b"not in allow-only licenses" in done.stderr


def test_secrets_are_found_in_files_and_in_history(project: Path) -> None:
    run("make", "secrets", cwd=project)

    leaked = project / "notes.md"
    # Not a real one, and not whole in this file either.
    leaked.write_text("token = ghp_" + "wWPw5k4aXcaT4fNP0UcnZwJUVFk6LO0pINUx\n", encoding="utf-8")
    for _ in ("in a file", "in the history"):
        done = subprocess.run(
            ["make", "secrets"], cwd=project, env=environment(), capture_output=True, check=False
        )
        assert done.returncode != 0
        if leaked.exists():
            commit_all(project, "Oh")
            leaked.unlink()
            commit_all(project, "It is gone")
    run("git", "reset", "--hard", "--quiet", "HEAD~2", cwd=project)


def test_the_bill_of_materials_names_every_package_of_the_service(project: Path) -> None:
    run("make", "sbom", cwd=project)
    bill = json.loads((project / "sbom.json").read_text(encoding="utf-8"))
    about = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    required = {re.match(r"[\w-]+", each)[0] for each in about["project"]["dependencies"]}  # pyright: ignore[reportOptionalSubscript]

    assert bill["bomFormat"] == "CycloneDX"
    assert required <= {each["name"] for each in bill["components"]}
    assert "pytest" not in {each["name"] for each in bill["components"]}


def load(project: Path, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The load test, by a command of the documentation, with these variables."""
    line = " ".join([command, *(f"{name}={value}" for name, value in variables.items())])
    return subprocess.run(
        ["sh", "-c", line],
        cwd=project,
        env=environment(PWD=str(project)),
        capture_output=True,
        text=True,
        check=False,
    )


def test_its_load_test_runs_without_a_failure(project: Path, tmp_path: Path) -> None:
    url, pid = start_database(project, tmp_path / "data")
    app = project / ".venv/bin/app"
    base = f"http://127.0.0.1:{(port := free_port())}"
    environ = {"DATABASE_URL": url, "DATA_DIR": str(tmp_path)}
    serve = [app, "serve", "--host", "127.0.0.1", "--port", str(port)]
    create, test = console((project / "docs/operations.md").read_text(encoding="utf-8"))
    try:
        run(app, "db", "upgrade", cwd=project, **environ)
        run("sh", "-c", create, cwd=project, **environ)
        with running(*serve, cwd=project, log=tmp_path / "log", **environ):
            wait_for(f"{base}/health/ready", 200)
            done = load(project, test, HOST=base, SECONDS="15")
            refused = load(project, test, HOST=base, SECONDS="5", LOAD_EMAIL="x@example.com")
    finally:
        os.kill(pid, signal.SIGQUIT)

    assert done.returncode == 0, done.stderr
    for name in ("POST +/api/v1/auth/login", "POST +/api/v1/orders", "GET +/api/v1/products"):
        assert re.search(rf"^{name} +\d+ +0\(0\.00%\)", done.stderr + done.stdout, re.MULTILINE), (
            name
        )
    assert "Response time percentiles" in done.stderr + done.stdout
    assert refused.returncode != 0


def test_other_machines_are_not_called(project: Path) -> None:
    done = load(project, "make load", HOST="http://192.0.2.1", SECONDS="1")

    assert done.returncode != 0
    assert "is not this machine" in done.stderr
    assert "Response time percentiles" not in done.stderr + done.stdout
