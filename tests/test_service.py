"""A baked service, running: from outside, over HTTP, with its database killed."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from tests.processes import free_port, running, start_database, wait_for
from tests.template import ROOT, Answers, environment, run

Installed = Callable[[Answers], Path]
EMAIL, PASSWORD = "admin@example.com", "correct horse battery staple"


def make_admin(project: Path, **environ: str) -> None:
    """Somebody who may do everything."""
    command = [project / ".venv/bin/app", "users", "create-admin", "--email", EMAIL]
    run(*command, cwd=project, ADMIN_PASSWORD=PASSWORD, **environ)


def sign_in(base: str) -> dict[str, str]:
    """The header that makes a request theirs."""
    form = {"username": EMAIL, "password": PASSWORD}
    answer = httpx2.post(f"{base}/api/v1/auth/login", data=form, timeout=30)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.mark.xdist_group("outage")
def test_it_outlives_its_database(installed: Installed, tmp_path: Path) -> None:
    project = installed({"database": "postgresql", "include_example": True})
    data = tmp_path / "data"
    url, pid = start_database(project, data)
    base = f"http://127.0.0.1:{(port := free_port())}"
    serve = project / ".venv/bin/app"
    try:
        run(serve, "db", "upgrade", cwd=project, DATABASE_URL=url)
        make_admin(project, DATABASE_URL=url)
        with running(
            serve, "serve", "--port", str(port), cwd=project, log=tmp_path / "log", DATABASE_URL=url
        ):
            wait_for(f"{base}/health/ready", 200)
            headers = sign_in(base)
            assert httpx2.get(f"{base}/api/v1/products", headers=headers).status_code == 200

            os.kill(pid, signal.SIGQUIT)  # PostgreSQL's immediate shutdown: as if the power went
            wait_for(f"{base}/health/ready", 503)
            for _ in range(3):
                answer = httpx2.get(f"{base}/api/v1/products", headers=headers, timeout=15)
                assert answer.status_code == 503
                assert answer.headers["Content-Type"] == "application/problem+json"
                assert answer.headers["Retry-After"]
                assert answer.json()["correlation_id"]
            assert httpx2.get(f"{base}/health/live").status_code == 200

            again, pid = start_database(project, data)
            assert again == url
            wait_for(f"{base}/health/ready", 200, deadline=20)
            assert httpx2.get(f"{base}/api/v1/products", headers=headers).status_code == 200
    finally:
        os.kill(pid, signal.SIGQUIT)


@pytest.mark.xdist_group("outage")
def test_several_machines_may_migrate_at_once(installed: Installed, tmp_path: Path) -> None:
    project = installed({"database": "postgresql", "include_example": True})
    url, pid = start_database(project, tmp_path / "data")
    try:
        upgrades = [
            subprocess.Popen(
                [project / ".venv/bin/app", "db", "upgrade"],
                cwd=project,
                env=environment(DATABASE_URL=url),
                stderr=subprocess.PIPE,
            )
            for _ in range(4)
        ]
        said = [upgrade.communicate()[1].decode() for upgrade in upgrades]
        assert [upgrade.returncode for upgrade in upgrades] == [0] * 4, said
        assert "".join(said).count("Running upgrade") == 1
    finally:
        os.kill(pid, signal.SIGQUIT)


@pytest.mark.xdist_group("outage")
def test_a_request_under_way_is_finished_before_the_end(
    installed: Installed, tmp_path: Path
) -> None:
    project = installed({"database": "mysql", "include_example": True})
    base = f"http://127.0.0.1:{(port := free_port())}"
    app = project / ".venv/bin/app"
    run(app, "db", "upgrade", cwd=project, DATA_DIR=str(tmp_path))
    make_admin(project, DATA_DIR=str(tmp_path))
    with running(
        app, "serve", "--port", str(port), cwd=project, log=tmp_path / "log", DATA_DIR=str(tmp_path)
    ) as process:
        wait_for(f"{base}/health/ready", 200)
        token = sign_in(base)["Authorization"]
        body = b'{"sku": "TEA", "name": "tea", "price": 1}'
        with socket.create_connection(("127.0.0.1", port)) as slow:
            slow.sendall(
                b"POST /api/v1/products HTTP/1.1\r\nHost: test\r\nConnection: close\r\n"
                b"Content-Type: application/json\r\n"
                + f"Authorization: {token}\r\n".encode()
                + f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body[:10]
            )
            time.sleep(0.5)
            os.kill(process.pid, signal.SIGTERM)
            time.sleep(0.5)
            slow.sendall(body[10:])
            answer = b"".join(iter(lambda: slow.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 201")
        process.wait(20)


@pytest.mark.xdist_group("demo")
def test_make_demo_ends_serving(template: Path, tmp_path: Path) -> None:
    clone = tmp_path / "sp ace" / "ünï" / "clone"
    home = tmp_path / "home"
    home.mkdir()
    run("git", "clone", "--quiet", template, clone, cwd=tmp_path)
    cache = run("uv", "cache", "dir", cwd=ROOT).stdout.strip()
    port = str(free_port())
    log = tmp_path / "log"
    with running(
        "make", "demo", f"PORT={port}", cwd=clone, log=log, HOME=str(home), UV_CACHE_DIR=cache
    ):
        wait_for(f"http://127.0.0.1:{port}/health/ready", 200)
        assert f"http://127.0.0.1:{port}/docs" in log.read_text()
