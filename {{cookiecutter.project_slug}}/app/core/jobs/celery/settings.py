"""Settings of Celery, `CELERY_...`."""

import os
from functools import cache
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class CelerySettings(BaseSettings):
    """Each field is the environment variable `CELERY_` and its name in capitals."""

    model_config = SettingsConfigDict(env_file=".env", env_prefix="CELERY_", extra="ignore")

    broker_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    prefix: str = Field(default="{{ cookiecutter.project_slug }}", min_length=1)
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(default=0, ge=0, le=65535)
    heartbeat_file: Path | None = None

    @model_validator(mode="after")
    def demand_folder(self) -> Self:
        """The processes of a worker count for themselves, in files."""
        if self.metrics_port and "PROMETHEUS_MULTIPROC_DIR" not in os.environ:  # noqa: TID251, the library's own
            raise ValueError("CELERY_METRICS_PORT needs PROMETHEUS_MULTIPROC_DIR, an empty folder")
        return self


@cache
def get_celery_settings() -> CelerySettings:
    """The settings of this process."""
    return CelerySettings()
