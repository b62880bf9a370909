"""A baked service, running: from outside, over HTTP, with its database terminated."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import pytest

from tests.ports import free_port
from tests.processes import (
    children,
    execute,
    running,
    standing_still,
    start_database,
    until,
    wait_for,
)
from tests.template import ROOT, Answers, environment, run

Installed = Callable[[Answers], Path]
EMAIL, PASSWORD = "admin@example.com", "correct horse battery staple"


def make_admin(project: Path, **environ: str) -> None:
    """An administrator."""
    command = [project / ".venv/bin/app", "users", "create-admin", "--email", EMAIL]
    run(*command, cwd=project, ADMIN_PASSWORD=PASSWORD, **environ)


def sign_in(base: str) -> dict[str, str]:
    """The authorization header of their requests."""
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
def test_it_tells_what_is_wrong_with_its_database_and_goes_on_by_itself(
    installed: Installed, tmp_path: Path
) -> None:
    project = installed({"database": "postgresql", "include_example": True})
    url, pid = start_database(project, tmp_path / "data")
    base = f"http://127.0.0.1:{(port := free_port())}"
    serve, log = project / ".venv/bin/app", tmp_path / "log"
    environ = {"DATABASE_URL": url, "DATABASE_TIMEOUT": "6"}
    try:
        with running(
            serve, "serve", "--port", str(port), cwd=project, log=log, **environ
        ) as process:
            not_migrated(base)
            run(serve, "db", "upgrade", cwd=project, **environ)
            wait_for(f"{base}/health/ready", 200)
            make_admin(project, **environ)
            headers = sign_in(base)
            assert set(at_once(f"{base}/api/v1/products", headers)) == {(200, None)}

            with standing_still(pid), ThreadPoolExecutor() as beside:
                requests = beside.submit(at_once, f"{base}/api/v1/products", headers)
                time.sleep(0.5)  # by then they have all the connections that requests may have
                began = time.monotonic()
                ready = httpx2.get(f"{base}/health/ready", timeout=30)
                assert (ready.status_code, time.monotonic() - began < 5) == (503, True)
                began = time.monotonic()
                metrics = httpx2.get(f"{base}/metrics", timeout=30)
                assert (metrics.status_code, time.monotonic() - began < 5) == (200, True)
                assert "job_runs" in metrics.text
                assert set(requests.result()) == {(503, "5")}
            wait_for(f"{base}/health/ready", 200)
            assert set(at_once(f"{base}/api/v1/products", headers)) == {(200, None)}

            set_read_only(project, url, "on")
            ready = wait_for(f"{base}/health/ready", 503)
            assert ready.json()["checks"] == {"database": "read-only"}
            tea = {"sku": "TEA", "name": "tea", "price": 1}
            answer = httpx2.post(f"{base}/api/v1/products", headers=headers, json=tea)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
            assert httpx2.get(f"{base}/api/v1/products", headers=headers).status_code == 200
            set_read_only(project, url, "off")
            wait_for(f"{base}/health/ready", 200)
            answer = httpx2.post(f"{base}/api/v1/products", headers=headers, json=tea)
            assert answer.status_code == 201
            assert process.poll() is None
    finally:
        os.kill(pid, signal.SIGQUIT)
    assert "Traceback" not in log.read_text()


def not_migrated(base: str) -> None:
    """The message says what to do."""
    ready = wait_for(f"{base}/health/ready", 503)
    assert ready.json()["checks"] == {"database": "not migrated: run `app db upgrade`"}
    form = {"username": EMAIL, "password": PASSWORD}
    answer = httpx2.post(f"{base}/api/v1/auth/login", data=form, timeout=30)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "run `app db upgrade`" in answer.json()["detail"]


def at_once(url: str, headers: dict[str, str]) -> list[tuple[int, str | None]]:
    """The statuses of more requests than there are connections."""

    def get(_: int) -> tuple[int, str | None]:
        answer = httpx2.get(url, headers=headers, timeout=60)
        return answer.status_code, answer.headers.get("Retry-After")

    with ThreadPoolExecutor(20) as threads:
        return list(threads.map(get, range(20)))


def set_read_only(project: Path, url: str, value: str) -> None:
    """For all connections, from now on."""
    execute(project, url, f"ALTER SYSTEM SET default_transaction_read_only = {value}")
    execute(project, url, "SELECT pg_reload_conf()")


@pytest.mark.xdist_group("outage")
def test_workers_may_take_long_to_start(installed: Installed, tmp_path: Path) -> None:
    project = installed({"database": "mysql", "include_example": True})
    app, log = project / ".venv/bin/app", tmp_path / "log"
    base = f"http://127.0.0.1:{(port := free_port())}"
    environ = {"DATA_DIR": str(tmp_path), "LIMITS_PER_PROCESS": "true", "CACHE_ENTRIES": "0"}
    run(app, "db", "upgrade", cwd=project, **environ)
    command = [app, "serve", "--port", str(port), "--workers", "2"]
    with (
        running(*command, cwd=project, log=log, **environ) as process,
        starved_workers(process.pid, seconds=7) as seen,
    ):
        wait_for(f"{base}/health/ready", 200)
        until(lambda: log.read_text().count("Application startup complete") == 2)
    assert len(seen) == 2  # none was terminated because it had not answered yet
    assert "app.core.workers" not in log.read_text()  # nor is a regular exit logged with a cause


@contextmanager
def starved_workers(pid: int, seconds: float) -> Generator[set[int]]:
    """Suspend each worker of `pid` for a while as soon as it exists, as on a busy machine."""
    seen, over = set[int](), threading.Event()

    def starve() -> None:
        hungry: dict[int, float] = {}
        while not over.wait(0.02):
            for worker in workers(pid):
                if worker not in seen:
                    seen.add(worker)
                    hungry[worker] = time.monotonic() + seconds
                    os.kill(worker, signal.SIGSTOP)
            for worker, until_then in list(hungry.items()):
                if time.monotonic() > until_then:
                    del hungry[worker]
                    with suppress(ProcessLookupError):
                        os.kill(worker, signal.SIGCONT)

    thread = threading.Thread(target=starve)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def workers(pid: int) -> list[int]:
    """The server processes, without multiprocessing's resource tracker."""
    found = []
    for child in children(pid):
        with suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


@pytest.mark.xdist_group("outage")
def test_the_log_says_why_a_worker_died(installed: Installed, tmp_path: Path) -> None:
    project = installed({"database": "mysql", "include_example": True})
    app, log = project / ".venv/bin/app", tmp_path / "log"
    base = f"http://127.0.0.1:{(port := free_port())}"
    environ = {
        "DATA_DIR": str(tmp_path),
        "WORKER_TIMEOUT": "10",
        "LIMITS_PER_PROCESS": "true",
        "CACHE_ENTRIES": "0",
    }
    run(app, "db", "upgrade", cwd=project, **environ)
    command = [app, "serve", "--port", str(port), "--workers", "2"]
    with running(*command, cwd=project, log=log, **environ) as process:
        wait_for(f"{base}/health/ready", 200)
        until(lambda: log.read_text().count("Application startup complete") >= 2)
        hanging, killed = workers(process.pid)
        os.kill(hanging, signal.SIGSTOP)
        os.kill(killed, signal.SIGKILL)
        until(lambda: f"worker {killed} was terminated by SIGKILL" in log.read_text(), deadline=8)
        until(lambda: f"worker {hanging} did not answer for 10 seconds" in log.read_text())
        assert "raise WORKER_TIMEOUT" in log.read_text()
        until(lambda: not {hanging, killed} & set(workers(process.pid)))
        wait_for(f"{base}/health/ready", 200)


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
