"""Settings of this feature, `AUTH_...`."""

from datetime import timedelta

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app.core.settings import FeatureSettings


class AuthSettings(FeatureSettings):
    """Each field is read from the environment variable `AUTH_` plus its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="AUTH_")

    access_token_minutes: int = Field(default=15, ge=1, le=60)
    session_days: int = Field(default=14, ge=1, le=90)
    idle_hours: int = Field(default=168, ge=1, le=2160)
    refresh_grace_seconds: int = Field(default=10, ge=0, le=60)
    verification_hours: int = Field(default=48, ge=1, le=168)
    reset_minutes: int = Field(default=15, ge=5, le=60)
    expired_days: int = Field(default=30, ge=0, le=3650)

    @property
    def access_token_lifetime(self) -> timedelta:
        """How long an access token is valid."""
        return timedelta(minutes=self.access_token_minutes)

    @property
    def session_lifetime(self) -> timedelta:
        """How long a session lasts without a new login."""
        return timedelta(days=self.session_days)

    @property
    def idle_lifetime(self) -> timedelta:
        """How long a session lasts without being used."""
        return timedelta(hours=self.idle_hours)
