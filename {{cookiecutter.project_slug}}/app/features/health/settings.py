"""Settings of this feature, `HEALTH_...`."""

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from app.core.settings import FeatureSettings, is_repetitive


class HealthSettings(FeatureSettings):
    """Each field is read from the environment variable `HEALTH_` plus its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="HEALTH_", env_ignore_empty=True)

    token: SecretStr | None = Field(default=None, min_length=16)

    def faults(self) -> list[str]:
        """Report a guessable token."""
        if self.token and is_repetitive(self.token.get_secret_value()):
            return ["HEALTH_TOKEN is guessable: generate one with `openssl rand -hex 32`"]
        return []
