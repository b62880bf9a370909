"""Baked services for benchmarks, served on loopback."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tests.ports import free_port

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build" / "bench"
INSIDE = Path(__file__).parent / "inside"
"""Programs that run in the environment of a generated project."""
PASSWORD = "correct horse battery staple"


def environment(data: Path) -> dict[str, str]:
    """The environment without this run's own variables."""
    ours = {"VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "PYTHONPYCACHEPREFIX"}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return kept | {"DATA_DIR": str(data), "ADMIN_PASSWORD": PASSWORD, "LOG_LEVEL": "WARNING"}


def installed(name: str, *answers: str) -> Path:
    """A project with these answers, and its environment."""
    folder = BUILD / name
    shutil.rmtree(folder, ignore_errors=True)
    cookiecutter = Path(sys.executable).with_name("cookiecutter")
    command = [cookiecutter, ROOT, "--no-input", "--output-dir", folder, *answers]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    project = folder / "acme-api"
    subprocess.run(["uv", "sync", "--quiet"], cwd=project, check=True, env=environment(folder))
    return project


def bake(name: str, *answers: str) -> Path:
    """The same, its built-in database migrated."""
    project = installed(name, *answers)
    command_in(project, "app", "db", "upgrade")
    return project


def command_in(project: Path, program: str, *arguments: str | Path, **environ: str) -> str:
    """Run a program of the project's environment; return its output."""
    done = subprocess.run(
        [project / ".venv/bin" / program, *arguments],
        cwd=project,
        env=environment(project.parent / "data") | environ,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


@contextmanager
def serving(project: Path) -> Generator[str]:
    """Its URL."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [project / ".venv/bin/app", "serve", "--host", "127.0.0.1", "--port", str(port)],
        cwd=project,
        env=environment(project.parent / "data"),
    )
    try:
        for _ in range(300):
            try:
                if httpx2.get(f"{base}/health/ready", trust_env=False).status_code == 200:
                    break
            except httpx2.TransportError:
                pass
            time.sleep(0.1)
        yield base
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)
