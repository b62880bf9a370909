"""Settings of this feature, `IDEMPOTENCY_...`."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app.core.settings import FeatureSettings


class IdempotencySettings(FeatureSettings):
    """Each field is read from the environment variable `IDEMPOTENCY_` plus its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="IDEMPOTENCY_")

    hours: int = Field(default=24, ge=1, le=24 * 365)
