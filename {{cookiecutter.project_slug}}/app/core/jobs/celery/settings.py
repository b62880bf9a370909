"""Settings of Celery, `CELERY_...`."""

from functools import cache

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class CelerySettings(BaseSettings):
    """Each field is the environment variable `CELERY_` and its name in capitals."""

    model_config = SettingsConfigDict(env_file=".env", env_prefix="CELERY_", extra="ignore")

    broker_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    prefix: str = Field(default="{{ cookiecutter.project_slug }}", min_length=1)
    metrics_port: int = Field(default=0, ge=0, le=65535)


@cache
def get_celery_settings() -> CelerySettings:
    """The settings of this process."""
    return CelerySettings()
