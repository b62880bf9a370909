"""Whether this process lives, and whether it can do its work."""

from app.core.feature import Feature
from app.features.health.router import router

feature = Feature(router=router)
