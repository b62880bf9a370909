"""Limits on requests and attempts: by address, by user, and strictly where secrets are guessed."""

from app.core.feature import Feature
from app.features.limits.service import (
    POLICY,
    RATE_LIMIT,
    Attempt,
    admit,
    attempt,
    attempt_anywhere,
    limiting,
    standing,
    succeeded,
)
from app.features.limits.settings import LimitSettings

__all__ = ["Attempt", "attempt", "attempt_anywhere", "feature", "standing", "succeeded"]

feature = Feature(
    resources=(limiting,),
    admissions=(admit,),
    exposed=(RATE_LIMIT, POLICY, "Retry-After"),
    settings=(LimitSettings,),
)
