"""One trace over a request and a real worker."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from app.core.db import migrations
from app.core.db.session import Database
from app.core.jobs.celery import CeleryQueue, CelerySettings
from app.core.settings import Settings
from app.installed import JOBS
from app.main import create_app
from conftest import PASSWORD, client_over
from tests.brokers import URLS, clean
from tests.ports import free_port
from tests.receivers import receiving, until
from tests.test_celery import environment

CONSUMER = 5


@pytest.mark.slow
@pytest.mark.drill
async def test_the_jobs_of_a_request_belong_to_its_trace_in_a_worker_too(
    committed_db: Database,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    url = next(filter(None, URLS.values()), None) or pytest.skip("no broker is configured")
    ours = CelerySettings(broker_url=SecretStr(url), prefix=f"test-{uuid4().hex[:8]}")
    with receiving() as receiver:
        tracing = {"TRACING_ENDPOINT": receiver.url, "TRACING_SAMPLE_RATIO": "1"}
        for name, value in {
            "CELERY_BROKER_URL": url,
            "CELERY_PREFIX": ours.prefix,
            **tracing,
        }.items():
            monkeypatch.setenv(name, value)
        settings = settings.model_copy(update={"job_queue": CeleryQueue})
        command = [sys.executable, "-m", "celery", "-A", "app.worker", "worker", "--beat"]
        worker = subprocess.Popen(  # noqa: ASYNC220, S603
            [*command, "--concurrency", "2", "--hostname", f"{ours.prefix}@%h"],
            cwd=migrations.ROOT,
            env=os.environ
            | environment(settings, ours, tmp_path, free_port())
            | {"MAILER": "app.core.mail.console.ConsoleMailer", "OTEL_BSP_SCHEDULE_DELAY": "100"},
        )
        try:
            app = create_app(settings)
            async with app.router.lifespan_context(app) as state:
                assert state
                async with client_over(app, state["service"]) as client:
                    new = {"email": "ada@example.com", "password": PASSWORD}
                    answer = await client.post("/api/v1/auth/register", json=new)
                    assert answer.status_code == 202
            await asyncio.to_thread(until, lambda: "job mail.deliver" in str(receiver.spans))
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(30)
            clean(CeleryQueue(settings, JOBS, {CelerySettings: ours}).celery, url, ours)

    request = receiver.named("POST /api/v1/auth/register")
    registered, delivered = receiver.named("job auth.register"), receiver.named("job mail.deliver")
    assert registered.parent_id == request.id
    assert delivered.parent_id == registered.id
    assert {"SELECT", "INSERT"} <= {*receiver.under(registered)}
    assert {request.trace_id} == {registered.trace_id, delivered.trace_id}
    # What the relay and the broker do by themselves belongs to no trace.
    others = [each for each in receiver.spans if each.trace_id != request.trace_id]
    assert [each.name for each in others if each.kind != CONSUMER and not each.parent_id] == []
    assert "ada@" not in str(receiver.spans)
