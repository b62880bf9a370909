"""Metrics of this process, measured again and again: its event loop, its connections, what it is."""

import asyncio
import os
import platform
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from prometheus_client import Gauge, Histogram
from prometheus_client.multiprocess import (
    mark_process_dead,  # pyright: ignore[reportUnknownVariableType]
)

from app.core.db.session import Database
from app.core.service import Service
from app.features.metrics.requests import IN_PROGRESS, Requests

SECONDS = 0.5

LAG = Histogram(
    "event_loop_lag_seconds",
    "How much later than it asked for the event loop resumed a task that slept",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
SIZE, IN_USE, WAITING = (
    Gauge(f"database_pool_{name}", meaning, ["database"], multiprocess_mode="livesum")
    for name, meaning in (
        ("size", "Connections that the processes may open to a database"),
        ("in_use", "Connections that requests and probes use"),
        ("waiting", "Requests that wait for a connection"),
    )
)
BUILD = Gauge(
    "build_info",
    "The release that is running",
    ["service", "version", "python"],
    multiprocess_mode="livemax",
)


async def measure(service: Service, requests: Requests) -> None:
    """Measure this process until it stops."""
    loop = asyncio.get_running_loop()
    BUILD.labels(service.settings.issuer, version("app"), platform.python_version()).set(1)
    while True:
        IN_PROGRESS.set(requests.running)
        for name, database in databases(service).items():
            SIZE.labels(name).set(database.pool.size())
            IN_USE.labels(name).set(database.pool.checkedout())
            WAITING.labels(name).set(len(database.slots.waiting))
        due = loop.time() + SECONDS
        await asyncio.sleep(SECONDS)
        LAG.observe(max(0.0, loop.time() - due))


def databases(service: Service) -> dict[str, Database]:
    """The primary and the replicas, by name."""
    found = {"primary": service.database}
    if replicas := service.database.replicas:
        found.update(replicas.databases())
    return found


def forget_dead(folder: str) -> None:
    """Drop what processes measured of themselves that no longer exist, however they ended."""
    if os.name != "posix":  # elsewhere, asking for a process could end it
        return
    for file in Path(folder).glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            with suppress(FileNotFoundError):  # another process has done so
                mark_process_dead(pid, folder)
        except PermissionError:  # it is another user's
            continue
