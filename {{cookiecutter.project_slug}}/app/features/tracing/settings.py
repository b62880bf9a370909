"""Settings of this feature, `TRACING_...`."""

from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from app.core.extras import demand
from app.core.settings import FeatureSettings
from app.core.values import CommaSeparated


class TracingSettings(FeatureSettings):
    """Each field is read from the environment variable `TRACING_` plus its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="TRACING_", env_ignore_empty=True)

    endpoint: str | None = Field(default=None, pattern=r"^https?://[^\s?#@]+$")
    headers: SecretStr = SecretStr("")
    sample_ratio: float = Field(default=0.1, ge=0, le=1)
    service_name: str | None = None
    excluded: CommaSeparated = Field(
        default=["/health/live", "/health/ready", "/health/startup", "/metrics"]
    )

    @model_validator(mode="after")
    def demand_extra(self) -> Self:
        """Require the exporter, if there is something to export to."""
        if self.endpoint:
            demand("TRACING_ENDPOINT", "tracing", "opentelemetry.exporter.otlp.proto.http")
        return self
