from collections.abc import Callable

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr, ValidationError

from app.core.db.session import Database
from app.core.settings import Environment, Settings
from app.features.metrics.settings import MetricsSettings
from conftest import client_of
from tests.inline import CONFIGURED

SetToken = Callable[[str | None], None]


@pytest.fixture
def set_token(monkeypatch: pytest.MonkeyPatch) -> SetToken:
    """Configure `METRICS_TOKEN`."""

    def configure(token: str | None) -> None:
        settings = MetricsSettings(token=SecretStr(token) if token else None)
        monkeypatch.setitem(CONFIGURED, MetricsSettings, settings)

    return configure


def figures(text: str) -> dict[tuple[str, ...], float]:
    """Each sample by its name and label values."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_jobs_are_counted(client: AsyncClient) -> None:
    before = figures((await client.get("/metrics")).text)
    await client.post("/api/v1/auth/forgot-password", json={"email": "ada@example.com"})
    after = figures((await client.get("/metrics")).text)

    done = ("job_runs_total", "auth.forgot_password", "done")
    assert after[done] == before.get(done, 0) + 1
    assert after["jobs_waiting", "mail"] == 0
    assert after["jobs_oldest_waiting_seconds", "mail"] == 0
    took = ("job_duration_seconds_count", "auth.forgot_password")
    assert after[took] == before.get(took, 0) + 1


async def test_a_token_keeps_strangers_out(client: AsyncClient, set_token: SetToken) -> None:
    set_token("prometheus-only-1")

    assert (await client.get("/metrics")).status_code == 401
    for presented in ("wrong", "", "prometheus-only-\u00df"):
        headers = [(b"Authorization", f"Bearer {presented}".encode())]
        assert (await client.get("/metrics", headers=headers)).status_code == 401
    headers = [(b"Authorization", b"Bearer prometheus-only-1")]
    assert (await client.get("/metrics", headers=headers)).status_code == 200


def test_an_empty_token_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_TOKEN", "")
    assert MetricsSettings().token is None
    monkeypatch.setenv("METRICS_TOKEN", "short")
    with pytest.raises(ValidationError):
        MetricsSettings()


async def test_a_deployed_service_without_a_token_shows_nothing(
    app: FastAPI, database: Database, settings: Settings, set_token: SetToken
) -> None:
    set_token(None)
    deployed = settings.model_copy(update={"environment": Environment.PRODUCTION})
    async with client_of(app, database, deployed) as client:
        assert (await client.get("/metrics")).status_code == 404
