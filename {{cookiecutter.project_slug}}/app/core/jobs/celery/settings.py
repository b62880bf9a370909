"""Settings of Celery, `CELERY_...`."""

import os
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from app.core.settings import FeatureSettings

LOCAL_BROKER = "redis://127.0.0.1:6379/0"


class CelerySettings(FeatureSettings):
    """Each field is read from the environment variable `CELERY_` plus its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="CELERY_", env_ignore_empty=True)

    broker_url: SecretStr | None = None
    prefix: str = Field(default="{{ cookiecutter.project_slug }}", min_length=1)
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(default=0, ge=0, le=65535)
    heartbeat_file: Path | None = None

    @model_validator(mode="after")
    def demand_folder(self) -> Self:
        """Require the folder for metrics: each process of a worker writes a file of its own."""
        if self.metrics_port and "PROMETHEUS_MULTIPROC_DIR" not in os.environ:  # noqa: TID251, the library's own
            raise ValueError("CELERY_METRICS_PORT needs PROMETHEUS_MULTIPROC_DIR, an empty folder")
        return self

    @property
    def broker(self) -> str:
        """The broker's URL; by default a Redis on this machine."""
        return self.broker_url.get_secret_value() if self.broker_url else LOCAL_BROKER
