"""Liveness and readiness of this process."""

from app.core.feature import Feature
from app.features.health.router import router

feature = Feature(router=router)
