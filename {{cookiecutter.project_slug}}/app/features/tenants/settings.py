"""Settings of this feature, `TENANTS_...`."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app.core.settings import FeatureSettings


class TenantSettings(FeatureSettings):
    """Each field is read from the environment variable `TENANTS_` plus its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="TENANTS_")

    invitation_days: int = Field(default=7, ge=1, le=90)
    invitations: int = Field(default=100, ge=1, le=10_000)
    per_user: int = Field(default=20, ge=1, le=10_000)
    grace_days: int = Field(default=30, ge=0, le=3650)
