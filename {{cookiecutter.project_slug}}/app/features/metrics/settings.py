"""Settings of this feature, `METRICS_...`."""

from functools import cache

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class MetricsSettings(BaseSettings):
    """Each field is the environment variable `METRICS_` and its name in capitals."""

    model_config = SettingsConfigDict(
        env_file=".env", env_prefix="METRICS_", extra="ignore", env_ignore_empty=True
    )

    token: SecretStr | None = Field(default=None, min_length=16)


@cache
def get_metrics_settings() -> MetricsSettings:
    """The settings of this process."""
    return MetricsSettings()
