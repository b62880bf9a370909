"""Liveness, start and readiness of this process."""

from app.core.feature import Feature
from app.features.health.router import router
from app.features.health.service import watching
from app.features.health.settings import HealthSettings

feature = Feature(router=router, resources=(watching,), settings=(HealthSettings,))
"""Probes for an orchestrator."""
