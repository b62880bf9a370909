"""Settings of this feature, `PRODUCTS_...`."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app.core.settings import FeatureSettings


class ProductSettings(FeatureSettings):
    """Each field is read from the environment variable `PRODUCTS_` plus its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="PRODUCTS_")

    deleted_days: int = Field(default=30, ge=1, le=3650)
