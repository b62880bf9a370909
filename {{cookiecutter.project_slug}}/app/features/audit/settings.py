"""Settings of this feature, `AUDIT_...`."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app.core.settings import FeatureSettings


class AuditSettings(FeatureSettings):
    """Each field is read from the environment variable `AUDIT_` plus its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="AUDIT_")

    days: int = Field(default=365, ge=0, le=36500)
