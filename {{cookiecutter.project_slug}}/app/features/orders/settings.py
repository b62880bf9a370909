"""Settings of this feature, `ORDERS_...`."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app.core.settings import FeatureSettings


class OrderSettings(FeatureSettings):
    """Each field is read from the environment variable `ORDERS_` plus its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="ORDERS_")

    unpaid_minutes: int = Field(default=30, ge=1, le=60 * 24 * 30)
