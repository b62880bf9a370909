"""Metrics for Prometheus."""

from app.core.feature import Feature
from app.features.metrics.router import router
from app.features.metrics.service import measured
from app.features.metrics.settings import MetricsSettings

feature = Feature(router=router, settings=(MetricsSettings,), observer=measured)
