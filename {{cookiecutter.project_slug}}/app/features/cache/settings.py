"""Settings of this feature, `CACHE_...`."""

from collections.abc import Iterable

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app.core.settings import FeatureSettings, Settings


class CacheSettings(FeatureSettings):
    """Each field is read from the environment variable `CACHE_` plus its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="CACHE_")

    entries: int = Field(default=10_000, ge=0, le=1_000_000)
    """How many a process keeps without Redis; 0 keeps nothing."""
    per_process: bool = False

    def faults_of_several(self, service: Settings) -> Iterable[str]:
        """None of several processes would learn what the others invalidate."""
        if service.redis_url is None and self.entries and not self.per_process:
            yield (
                "REDIS_URL is not set, so each process would keep results that another has invalidated: set it, use"
                " one process, keep nothing with CACHE_ENTRIES=0, or accept it with CACHE_PER_PROCESS=true"
            )
