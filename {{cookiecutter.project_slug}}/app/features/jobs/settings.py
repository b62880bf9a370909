"""Settings of this feature, `JOBS_...`."""

from functools import cache

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class JobSettings(BaseSettings):
    """Each field is read from the environment variable `JOBS_` plus its name in upper case."""

    model_config = SettingsConfigDict(env_file=".env", env_prefix="JOBS_", extra="ignore")

    done_days: int = Field(default=7, ge=1, le=3650)
    dead_days: int = Field(default=90, ge=1, le=3650)


@cache
def get_job_settings() -> JobSettings:
    """The settings of this process."""
    return JobSettings()
