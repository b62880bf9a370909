"""Metrics of several processes, and the log of a real one."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient, HTTPError, Limits
from prometheus_client.parser import text_string_to_metric_families

from app.core.settings import Settings
from tests.buggy import SECRET
from tests.live import server, started
from tests.outages import eventually

PROMTOOL = shutil.which("promtool")
LIVE = {"method": "GET", "route": "/health/live", "status": "200"}
EACH_ANEW = Limits(max_keepalive_connections=0)


def value(text: str, name: str, labels: Mapping[str, str]) -> float:
    """One sample."""
    families = text_string_to_metric_families(text)
    samples = [each for family in families for each in family.samples if each.name == name]
    return sum(each.value for each in samples if labels.items() <= each.labels.items())


def workers_in(folder: Path) -> set[int]:
    """The processes that measure themselves."""
    return {int(file.stem.split("_")[-1]) for file in folder.glob("metrics-*/gauge_livesum_*.db")}


@pytest.mark.slow
@pytest.mark.drill
@pytest.mark.usefixtures("emptied")
@pytest.mark.skipif(os.name != "posix", reason="a process cannot be asked for elsewhere")
async def test_two_processes_add_up_and_a_dead_one_is_forgotten(
    project_root: Path, settings: Settings, tmp_path: Path
) -> None:
    environ = {"TMPDIR": str(tmp_path), "DATABASE_POOL_SIZE": "3", "LIMITS_ADDRESS": "off"}
    with server(project_root, settings, environ, workers=2) as base:
        async with AsyncClient(
            base_url=base, timeout=60, trust_env=False, limits=EACH_ANEW
        ) as client:

            async def both_live() -> bool:
                with suppress(HTTPError):
                    text = (await client.get("/metrics")).text
                    return value(text, "database_pool_size", {"database": "primary"}) == 2 * (3 + 2)
                return False

            async def counted() -> float:
                text = (await client.get("/metrics")).text
                return value(text, "http_request_duration_seconds_count", LIVE)

            await started(client)
            await eventually(both_live)
            for _ in range(40):
                await client.get("/health/live")
            assert [await counted() for _ in range(6)] == [40] * 6

            victim = min(workers_in(tmp_path))
            os.kill(victim, signal.SIGKILL)

            async def replaced() -> bool:
                return await both_live() and victim not in workers_in(tmp_path)

            await eventually(replaced)
            assert await counted() == 40, "what it served was served"
            check_format((await client.get("/metrics")).content)
    assert workers_in(tmp_path) == set()


def check_format(exposition: bytes) -> None:
    """Prometheus has nothing to say about the metrics."""
    if PROMTOOL:
        checked = subprocess.run(  # noqa: S603, found on the path
            [PROMTOOL, "check", "metrics"], input=exposition, capture_output=True, check=False
        )
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


@pytest.mark.skipif(not PROMTOOL, reason="promtool is not installed")
async def test_promtool_finds_nothing_wrong(client: AsyncClient) -> None:
    await client.get("/nowhere")
    check_format((await client.get("/metrics")).content)


@pytest.mark.slow
@pytest.mark.drill
@pytest.mark.usefixtures("emptied")
async def test_a_bug_is_one_line_with_the_id_of_its_request(
    project_root: Path, settings: Settings, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    environ = {
        "DATA_DIR": str(tmp_path),
        "JOB_QUEUE": "app.core.jobs.local.LocalQueue",
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "DEBUG",
    }
    command = ("-m", "uvicorn", "--factory", "tests.buggy:create")

    def lines() -> list[dict[str, Any]]:
        found = log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in found if line.startswith("{")]

    async def job_has_failed() -> bool:
        return any(line["event"] == "job" and line["job"] == "buggy.fail" for line in lines())

    with server(project_root, settings, environ, command=command, log=log) as base:
        async with AsyncClient(base_url=base, timeout=60, trust_env=False) as client:
            await started(client)
            for name, method in (("endpoint", "GET"), ("stream", "GET"), ("job", "POST")):
                headers = {"X-Correlation-ID": name}
                with suppress(HTTPError):  # the stream breaks off
                    await client.request(method, f"/bugs/{name}", headers=headers)
            await eventually(job_has_failed)

    errors = [line for line in lines() if "exception" in line]
    assert [(line["event"], line["correlation_id"]) for line in errors] == [
        ("unhandled_exception", "endpoint"),
        ("unhandled_exception", "stream"),
        ("job_failed", "job"),
    ]
    for line in errors:
        assert line["exception"][-1]["exc_value"] == "password=***"
    text = log.read_text(encoding="utf-8")
    assert "in ASGI application" not in text
    assert SECRET not in text
    requests = {line["correlation_id"]: line for line in lines() if line["event"] == "request"}
    assert requests["endpoint"]["route"] == "/bugs/endpoint"
    assert (requests["endpoint"]["status"], requests["stream"]["status"]) == (500, 200)
