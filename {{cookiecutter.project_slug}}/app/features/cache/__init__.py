"""Results that are kept for a while: in Redis for all processes, or in this one."""

from app.core.feature import Feature
from app.features.cache.service import cached, caching, invalidate
from app.features.cache.settings import CacheSettings

__all__ = ["cached", "feature", "invalidate"]

feature = Feature(resources=(caching,), settings=(CacheSettings,))
