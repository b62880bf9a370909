"""Settings of this feature, `SENTRY_...`."""

from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from app.core.extras import demand
from app.core.settings import FeatureSettings


class SentrySettings(FeatureSettings):
    """Each field is read from the environment variable `SENTRY_` plus its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="SENTRY_", env_ignore_empty=True)

    dsn: SecretStr | None = None
    environment: str | None = None
    release: str | None = None
    sample_rate: float = Field(default=1.0, ge=0, le=1)
    messages: bool = False

    @model_validator(mode="after")
    def demand_extra(self) -> Self:
        """Require the library, and a project to send errors to."""
        if self.dsn is None:
            return self
        demand("SENTRY_DSN", "sentry", "sentry_sdk")
        from sentry_sdk.utils import BadDsn, Dsn  # noqa: PLC0415, it may not be installed

        try:
            Dsn(self.dsn.get_secret_value())
        except BadDsn:
            raise ValueError(
                "SENTRY_DSN is not the DSN of a project: copy it from the project's settings"
            ) from None
        return self
