"""Settings of this feature, `AUDIT_...`."""

from functools import cache

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class AuditSettings(BaseSettings):
    """Each field is read from the environment variable `AUDIT_` plus its name in upper case."""

    model_config = SettingsConfigDict(env_file=".env", env_prefix="AUDIT_", extra="ignore")

    days: int = Field(default=365, ge=0, le=36500)


@cache
def get_audit_settings() -> AuditSettings:
    """The settings of this process."""
    return AuditSettings()
