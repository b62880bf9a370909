"""Settings of this feature, `JOBS_...`."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app.core.settings import FeatureSettings


class JobSettings(FeatureSettings):
    """Each field is read from the environment variable `JOBS_` plus its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="JOBS_")

    done_days: int = Field(default=7, ge=1, le=3650)
    dead_days: int = Field(default=90, ge=1, le=3650)
