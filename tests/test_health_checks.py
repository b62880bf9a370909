"""The health checks of the Compose file, run on the processes that its commands start."""

import os
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ports import free_port
from tests.processes import kill, start, until
from tests.template import Answers, environment, run

Installed = Callable[[Answers], Path]
HEARTBEAT = "/tmp/heartbeat"  # noqa: S108, in a container
FLOWER = 5555


class Service:
    """A stand-in for a container."""

    def __init__(self, project: Path, name: str, folder: Path, port: int, **environ: str) -> None:
        compose = yaml.safe_load((project / "compose.yaml").read_text(encoding="utf-8"))
        described: dict[str, Any] = compose["services"][name]
        kind, *test = described["healthcheck"]["test"]
        command = test[0] if kind == "CMD-SHELL" else shlex.join(test)
        self.heartbeat = folder / name
        self.check = command.replace("$$", "$").replace(HEARTBEAT, str(self.heartbeat))
        self.check = self.check.replace(str(FLOWER), str(port))
        self.project = project
        self.path = f"{project}/.venv/bin:{os.environ['PATH']}"
        given = described["environment"].get("CELERY_HEARTBEAT_FILE")
        if given == HEARTBEAT:
            environ["CELERY_HEARTBEAT_FILE"] = str(self.heartbeat)
        line = shlex.join(part.replace("$$", "$") for part in described["command"])
        flower = {"FLOWER_PORT": str(port), "FLOWER_BASIC_AUTH": "name:password"}
        environ |= {"PATH": self.path} | (flower if name == "flower" else {})
        self.process = start("sh", "-c", f"exec {line}", cwd=project, log=folder / "log", **environ)

    def healthy(self) -> bool:
        """The result of its health check."""
        env = environment(PATH=self.path)
        return subprocess.run(["sh", "-c", self.check], env=env, check=False).returncode == 0

    def silent(self) -> bool:
        """Whether its heartbeat has stopped: it beats every two seconds."""
        os.utime(self.heartbeat, (0, 0))
        time.sleep(5)
        return self.heartbeat.stat().st_mtime == 0


@pytest.mark.xdist_group("jobs-celery")
def test_they_tell_whether_worker_beat_and_flower_work(
    installed: Installed, tmp_path: Path
) -> None:
    project = installed({"database": "mysql", "use_celery": True})
    port, broker_port = free_port(), free_port()
    broker = ["redis-server", "--port", str(broker_port), "--save", "", "--appendonly", "no"]
    environ = {
        "CELERY_BROKER_URL": f"redis://127.0.0.1:{broker_port}/0",
        "DATA_DIR": str(tmp_path),
        "JOB_QUEUE": "app.core.jobs.celery.CeleryQueue",
    }
    run(project / ".venv/bin/app", "db", "upgrade", cwd=project, **environ)
    processes = [start(*broker, cwd=tmp_path, log=tmp_path / "redis")]
    try:
        services = {
            name: Service(project, name, tmp_path, port, **environ)
            for name in ("worker", "beat", "flower")
        }
        processes += [service.process for service in services.values()]
        for service in services.values():
            until(service.healthy)

        kill(processes[0])
        for name in ("worker", "beat"):
            until(services[name].silent)
            assert not services[name].healthy()

        processes.append(start(*broker, cwd=tmp_path, log=tmp_path / "redis"))
        for name in ("worker", "beat"):
            until(services[name].healthy)

        kill(services["flower"].process)
        assert not services["flower"].healthy()
    finally:
        for process in processes:
            if process.poll() is None:
                kill(process)
