"""What happens to every request."""

import json

import pytest
import structlog
from httpx2 import AsyncClient

from app.core import logging
from app.core.settings import LogFormat, Settings


def log_as_json(settings: Settings) -> None:
    """Write the log as it is when deployed, to standard error."""
    logging.configure(settings.model_copy(update={"log_format": LogFormat.JSON}))


async def test_a_correlation_id_is_made_or_kept(client: AsyncClient) -> None:
    made = await client.get("/health/live")
    kept = await client.get("/health/live", headers={"X-Correlation-ID": "order-4711"})

    assert len(made.headers["X-Correlation-ID"]) == 32
    assert kept.headers["X-Correlation-ID"] == "order-4711"


async def test_a_correlation_id_that_forges_log_lines_is_replaced(client: AsyncClient) -> None:
    forged = 'x" level="critical'

    answer = await client.get("/health/live", headers={"X-Correlation-ID": forged})

    assert forged not in answer.headers["X-Correlation-ID"]


async def test_each_request_is_one_line_without_its_query(
    client: AsyncClient, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    log_as_json(settings)
    answer = await client.get("/nowhere?token=hunter2")

    lines = capsys.readouterr().err.splitlines()
    line = next(json.loads(line) for line in lines if "request" in line)
    assert line["event"] == "request"
    assert line["path"] == "/nowhere"
    assert line["status"] == 404
    assert line["correlation_id"] == answer.headers["X-Correlation-ID"]
    assert "hunter2" not in "".join(lines)


def fail(password: str) -> None:
    raise ValueError(len(password))


async def test_a_trace_in_the_log_shows_no_values(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    log_as_json(settings)
    try:
        fail("hunter2")
    except ValueError:
        structlog.stdlib.get_logger("test").exception("failed")

    line = json.loads(capsys.readouterr().err)
    assert line["exception"][0]["exc_type"] == "ValueError"
    assert "hunter2" not in str(line)
